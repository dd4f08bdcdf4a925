import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { UnusableFile } from '../../../src/node/files.ts';
import { makePass, restoreMirrors } from '../../../src/node/pass.ts';
import { certificateTwo } from './certificates.ts';
import { bothMirrors, sharedAgent } from './runtime-node.ts';
import { faultyFiles, makeSandbox, passInput, refusingFiles, type Sandbox, toolsWith } from './sandbox.ts';

const certificate = 'etc/docker/certs.d/mirror-hub.example/ca.crt';
const backup = 'etc/hosts.backup/hosts';

function sandbox(t: { teardown: (remove: () => void) => void }, hosts = '127.0.0.1 localhost'): Sandbox {
  const box = makeSandbox();
  t.teardown(box.remove);
  box.put('etc/hosts', hosts);
  return box;
}

test('wiring writes trust, backup and hosts line; restoring gives the tree from before', async (t) => {
  const box = sandbox(t);
  fs.chmodSync(join(box.root, 'etc/hosts'), 0o640);
  const before = box.tree();
  const report = await box.pass(box.options());
  t.true(report.complete);
  t.regex(box.get('etc/hosts'), /^10\.96\.0\.10\tmirror-hub\.example\t/m);
  t.regex(box.get(certificate), /BEGIN CERTIFICATE/);
  t.is(box.get(backup), '127.0.0.1 localhost');
  t.is(box.tree()['etc/hosts']?.slice(0, 8), 'file 640');
  t.true((await box.pass(box.options({ mode: 'restore' }))).complete);
  t.deepEqual(box.tree(), before);
  t.false(fs.existsSync(join(box.root, 'var/lib/registry-mirror-operator')));
});

test('a pass over a wired node reads only: no write, no lock', async (t) => {
  const box = sandbox(t);
  await box.pass(box.options());
  const writes = ['openSync', 'writeSync', 'renameSync', 'mkdirSync', 'unlinkSync', 'rmdirSync', 'chmodSync'];
  const reading = new Proxy(fs, {
    get: (real, name: keyof typeof fs) => {
      t.false(writes.includes(name), name);
      return real[name];
    },
  });
  const lock = () => Promise.reject(new Error('locked'));
  const report = await makePass(passInput(box.options()), { files: reading, lock });
  t.like(report, { complete: true, findings: [], results: [] });
});

test('a changed address, CA and name reach the node', async (t) => {
  const box = sandbox(t);
  await box.pass(box.options());
  fs.writeFileSync(box.caFile, certificateTwo);
  const entries = [{ address: 'fd00::1', name: 'new.example' }];
  await box.pass(box.options({ entries, certificateNames: ['new.example'] }));
  t.false(box.get('etc/hosts').includes('mirror-hub.example'));
  t.regex(box.get('etc/hosts'), /^fd00::1\tnew\.example\t/m);
  t.true(box.get('etc/docker/certs.d/new.example/ca.crt').endsWith(certificateTwo));
  t.false(fs.existsSync(join(box.root, 'etc/docker/certs.d/mirror-hub.example')));
});

test('an absent hosts file is made and goes again; one that was empty stays empty', async (t) => {
  const box = sandbox(t);
  fs.unlinkSync(join(box.root, 'etc/hosts'));
  const before = box.tree();
  await box.pass(box.options());
  await box.pass(box.options({ mode: 'restore' }));
  t.deepEqual(box.tree(), before);
  box.put('etc/hosts', '');
  await box.pass(box.options());
  await box.pass(box.options({ mode: 'restore' }));
  t.is(box.get('etc/hosts'), '');
});

test('what others changed in the hosts file meanwhile survives the restore', async (t) => {
  const box = sandbox(t, '127.0.0.1 localhost\n');
  await box.pass(box.options());
  fs.appendFileSync(join(box.root, 'etc/hosts'), '10.0.0.1 later');
  await box.pass(box.options({ mode: 'restore' }));
  t.is(box.get('etc/hosts'), '127.0.0.1 localhost\n10.0.0.1 later');
});

test('a backup that exists is never overwritten and stays after a restore', async (t) => {
  const box = sandbox(t);
  box.put(backup, 'from the original');
  await box.pass(box.options());
  await box.pass(box.options({ mode: 'restore' }));
  t.is(box.get(backup), 'from the original');
});

test('a folder at the backup path gets the file hosts', async (t) => {
  const box = sandbox(t);
  fs.mkdirSync(join(box.root, 'etc/hosts.backup'));
  await box.pass(box.options({ hostsBackup: '/etc/hosts.backup' }));
  t.is(box.get(backup), '127.0.0.1 localhost');
});

test('a lock is found where it lies: a file where its folder should be, the file in a folder of its name', async (t) => {
  const box = sandbox(t);
  const taken: string[] = [];
  const lock = async (path: string) => {
    taken.push(path.slice(box.root.length));
    return async () => undefined;
  };
  const passWith = (lockFile: string, mode: 'wire' | 'restore') =>
    makePass(passInput(box.options({ lockFile, mode })), { files: fs, lock });
  box.put('var/lock/mirror-hostess', '');
  t.true((await passWith('/var/lock/mirror-hostess/mirror-hostess', 'wire')).complete);
  fs.rmSync(join(box.root, 'var/lock/mirror-hostess'));
  fs.mkdirSync(join(box.root, 'var/lock/mirror-hostess'));
  t.true((await passWith('/var/lock/mirror-hostess', 'restore')).complete);
  t.deepEqual([...new Set(taken)], ['/var/lock/mirror-hostess', '/var/lock/mirror-hostess/mirror-hostess']);
});

test('mirrors share folders, hosts file and backup; the last one takes them away', async (t) => {
  const box = sandbox(t);
  const before = box.tree();
  const other = { mirror: 'two', entries: [{ address: '10.0.0.2', name: 'two' }], certificateNames: ['two'] };
  await box.pass(box.options());
  const oneAlone = box.tree();
  await box.pass(box.options(other));
  await box.pass(box.options({ ...other, mode: 'restore' }));
  t.deepEqual(box.tree(), oneAlone);
  await box.pass(box.options(other));
  await box.pass(box.options({ mode: 'restore' }));
  t.regex(box.get('etc/hosts'), /two/);
  t.is(box.get(backup), '127.0.0.1 localhost');
  await box.pass(box.options({ ...other, mode: 'restore' }));
  t.deepEqual(box.tree(), before);
});

test('two mirrors with one name: the file stays while one of them wants it and goes with the last', async (t) => {
  const box = sandbox(t);
  const before = box.tree();
  const other = { mirror: 'two', entries: [{ address: '10.0.0.2', name: 'two' }] };
  await box.pass(box.options());
  await box.pass(box.options({ ...other, mode: 'restore' }));
  t.regex(box.get(certificate), /managed; hub;/);
  fs.unlinkSync(join(box.root, certificate));
  await box.pass(box.options(other));
  t.regex(box.get(certificate), /managed; two;/);
  await box.pass(box.options({ mode: 'restore' }));
  await box.pass(box.options({ ...other, mode: 'restore', certificateNames: [] }));
  t.deepEqual(box.tree(), before);
});

test('a backup that cannot be made stops the hosts line, not the trust', async (t) => {
  const box = sandbox(t);
  box.put('etc/file', '');
  const report = await box.pass(box.options({ hostsBackup: '/etc/file/deep/hosts' }));
  t.false(report.complete);
  t.is(box.get('etc/hosts'), '127.0.0.1 localhost');
  t.true(fs.existsSync(join(box.root, certificate)));
});

test('restore of all mirrors needs nothing but the journal', async (t) => {
  const box = sandbox(t);
  const before = box.tree();
  await box.pass(box.options());
  await box.pass(box.options({ mirror: 'two', certificateNames: ['two'] }));
  const tools = { files: fs, lock: async () => async () => undefined };
  t.true((await restoreMirrors(box.options(), tools, () => true)).complete);
  t.deepEqual(box.tree(), before);
});

test('with the journal lost a restore still takes back what is marked', async (t) => {
  const box = sandbox(t);
  await box.pass(box.options());
  fs.rmSync(join(box.root, 'var'), { recursive: true });
  await box.pass(box.options({ mode: 'restore' }));
  t.is(box.get('etc/hosts'), '127.0.0.1 localhost');
  t.false(fs.existsSync(join(box.root, certificate)));
});

test('a damaged journal record is said and stops nothing', async (t) => {
  const box = sandbox(t);
  await box.pass(box.options());
  const journal = join(box.root, 'var/lib/registry-mirror-operator/journal');
  for (const name of fs.readdirSync(journal)) fs.writeFileSync(join(journal, name), '{');
  const report = await box.pass(box.options({ certificateNames: ['mirror-hub.example', 'other'] }));
  t.true(report.findings.some((finding) => finding.reason === 'DamagedRecord'));
  t.true(report.complete);
});

test('no hosts line is written before the name is trusted', async (t) => {
  const box = sandbox(t);
  fs.unlinkSync(box.caFile);
  const report = await box.pass(box.options());
  t.false(report.complete);
  t.deepEqual(
    report.findings.map((finding) => finding.reason),
    ['NoCertificateAuthority', 'NotTrusted'],
  );
  t.is(box.get('etc/hosts'), '127.0.0.1 localhost');
});

test('a CA that turns to garbage changes nothing on a wired node', async (t) => {
  const box = sandbox(t);
  await box.pass(box.options());
  const wired = box.tree();
  fs.writeFileSync(box.caFile, 'garbage');
  t.false((await box.pass(box.options())).complete);
  t.deepEqual(box.tree(), wired);
});

test('a folder in place of a file is left, said, and does not stop the others', async (t) => {
  const box = sandbox(t);
  fs.mkdirSync(join(box.root, certificate), { recursive: true });
  const report = await box.pass(box.options({ certificateNames: ['mirror-hub.example', 'other'] }));
  t.false(report.complete);
  t.is(report.findings[0]?.reason, 'UnusablePath');
  t.true(fs.existsSync(join(box.root, 'etc/docker/certs.d/other/ca.crt')));
});

test('services mode wires no hosts line and takes an older one away', async (t) => {
  const box = sandbox(t);
  await box.pass(box.options());
  await box.pass(box.options({ entries: [], certificateNames: ['10.96.0.10', 'fd00::1'] }));
  t.is(box.get('etc/hosts'), '127.0.0.1 localhost');
  t.deepEqual(fs.readdirSync(join(box.root, 'etc/docker/certs.d')).sort(), ['10.96.0.10', '[fd00::1]']);
});

test('a hosts file that is a link is written where it leads within the host', async (t) => {
  const box = sandbox(t);
  fs.renameSync(join(box.root, 'etc/hosts'), join(box.root, 'etc/hosts.real'));
  fs.symlinkSync('/etc/hosts.real', join(box.root, 'etc/hosts'));
  const before = box.tree();
  await box.pass(box.options());
  t.true(fs.lstatSync(join(box.root, 'etc/hosts')).isSymbolicLink());
  t.regex(box.get('etc/hosts.real'), /mirror-hub/);
  await box.pass(box.options({ mode: 'restore' }));
  t.deepEqual(box.tree(), before);
});

test('a link that leads to nothing mounted is left and said', async (t) => {
  const box = sandbox(t);
  fs.unlinkSync(join(box.root, 'etc/hosts'));
  fs.symlinkSync('/nix/store/hosts', join(box.root, 'etc/hosts'));
  const report = await box.pass(box.options());
  t.like(report.findings, [{ reason: 'UnusablePath', path: '/etc/hosts', blocks: true }]);
  t.is(fs.readlinkSync(join(box.root, 'etc/hosts')), '/nix/store/hosts');
  t.false(fs.existsSync(join(box.root, 'nix')));
});

test('a mount point that cannot be renamed over is overwritten in place', async (t) => {
  const box = sandbox(t);
  const before = box.tree();
  const inode = fs.statSync(join(box.root, 'etc/hosts')).ino;
  const files = () => faultyFiles('fail', 0, { busy: join(box.root, 'etc/hosts') });
  t.true((await box.pass(box.options(), files())).complete);
  t.regex(box.get('etc/hosts'), /mirror-hub/);
  t.is(fs.statSync(join(box.root, 'etc/hosts')).ino, inode);
  t.true((await box.pass(box.options({ mode: 'restore' }), files())).complete);
  t.deepEqual(box.tree(), before);
});

test('a file that somebody changes between plan and write is left for the next pass', async (t) => {
  const box = sandbox(t);
  let raced = false;
  const files = faultyFiles('fail', 0, {
    seen: () => {
      const wired = fs.existsSync(join(box.root, certificate));
      if (!wired || raced) return;
      raced = true;
      fs.appendFileSync(join(box.root, 'etc/hosts'), '\n10.0.0.1 racer');
    },
  });
  t.false((await box.pass(box.options(), files)).complete);
  t.is(box.get('etc/hosts'), '127.0.0.1 localhost\n10.0.0.1 racer');
  t.true((await box.pass(box.options())).complete);
  t.regex(box.get('etc/hosts'), /mirror-hub.*racer$/s);
});

test('a signal that a crash left owing is sent by the next pass, also where nothing else is to do', async (t) => {
  const box = sandbox(t);
  await box.pass(box.options());
  const marker = 'var/lib/registry-mirror-operator/signal-crio.owed';
  box.put(marker, '');
  const tools = { files: fs, lock: async () => async () => undefined };
  const unable = await makePass(passInput(box.options()), tools);
  t.false(unable.complete);
  t.like(unable.results, [{ action: { do: 'signal', process: 'crio' } }]);
  const sent: string[] = [];
  const signal = (name: string, what: string) => {
    sent.push(`${name} ${what}`);
    return { sent: [1] };
  };
  t.true((await makePass(passInput(box.options({ mode: 'restore' })), { ...tools, signal })).complete);
  t.deepEqual(sent, ['crio SIGHUP']);
  t.is(box.bytes(marker), undefined);
});

test('on a file system that became read-only a restore says so, and the next one takes everything back', async (t) => {
  const box = sandbox(t);
  const before = box.tree();
  await box.pass(box.options());
  const wired = box.tree();
  const isBelow = (path: unknown) => String(path).startsWith(join(box.root, 'etc'));
  const readOnly = new Proxy(fs, {
    get: (real, name: keyof typeof fs) => {
      const call = real[name] as (...args: unknown[]) => unknown;
      if (!['openSync', 'unlinkSync', 'rmdirSync', 'mkdirSync', 'renameSync'].includes(name)) return call;
      return (path: string, ...rest: unknown[]) => {
        if (isBelow(path) && rest[0] !== 'r') throw Object.assign(new Error('read-only'), { code: 'EROFS' });
        return call(path, ...rest);
      };
    },
  });
  const report = await box.pass(box.options({ mode: 'restore' }), readOnly);
  t.false(report.complete);
  t.deepEqual(box.tree(), wired);
  t.true((await box.pass(box.options({ mode: 'restore' }))).complete);
  t.deepEqual(box.tree(), before);
});

const lockFolder = '/var/lock/mirror-hostess';
const journalFolder = '/var/lib/registry-mirror-operator/journal';

for (const code of ['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT']) {
  test(`a lock that cannot be made (${code}) is said, changes nothing, and is tried again`, async (t) => {
    const box = sandbox(t);
    const before = box.tree();
    const files = refusingFiles(code, ['mkdirSync'], (path) => path === join(box.root, lockFolder));
    const report = await box.pass(box.options(), files);
    t.false(report.complete);
    t.like(report.findings, [{ reason: 'WriteFailed', path: lockFolder, blocks: true }]);
    t.regex(report.findings[0]!.message, new RegExp(code));
    t.deepEqual(box.tree(), before);
    t.true((await box.pass(box.options())).complete);
  });
}

test('a lock that cannot be opened is said; one that is held, or that nobody can ask for, is no matter of the node', async (t) => {
  const box = sandbox(t);
  const passWith = (error: Error) =>
    makePass(passInput(box.options()), { ...toolsWith(fs), lock: () => Promise.reject(error) });
  const path = join(box.root, lockFolder, 'mirror-hostess');
  const report = await passWith(new UnusableFile(path, 'Permission denied'));
  t.like(report.findings, [{ reason: 'WriteFailed', path: `${lockFolder}/mirror-hostess`, blocks: true }]);
  const held = 'Lock was not free in time';
  await t.throwsAsync(passWith(new Error(held)), { message: held });
  const missing = Object.assign(new Error('spawn flock ENOENT'), { code: 'ENOENT', path: 'flock' });
  await t.throwsAsync(passWith(missing), { is: missing });
});

test('a journal that cannot be read is said, and nothing is said of what lies on the node', async (t) => {
  const box = sandbox(t);
  const options = sharedAgent(box, bothMirrors(box.caFile));
  await box.pass(options);
  const wired = box.tree();
  const record = fs.readdirSync(join(box.root, journalFolder))[0]!;
  for (const [call, path] of [
    ['readdirSync', journalFolder],
    ['readFileSync', `${journalFolder}/${record}`],
    ['lstatSync', `${journalFolder}/${record}`],
  ] as const) {
    const files = refusingFiles('EACCES', [call], (asked) => asked === join(box.root, path));
    const report = await box.pass(sharedAgent(box, []), files);
    t.like(report, {
      complete: false,
      targets: [],
      findings: [{ reason: 'WriteFailed', path, blocks: true }],
    });
    t.regex(report.findings[0]!.message, /EACCES/);
    t.is(report.owners, undefined);
    t.deepEqual(box.tree(), wired);
  }
});

test('without a lock the mirrors that are still on the node are named', async (t) => {
  const box = sandbox(t);
  const files = refusingFiles('EACCES', ['mkdirSync'], (path) => path === join(box.root, lockFolder));
  const all = bothMirrors(box.caFile);
  t.deepEqual((await box.pass(sharedAgent(box, all), files)).owners, []);
  await box.pass(sharedAgent(box, all));
  fs.rmSync(join(box.root, lockFolder), { recursive: true, force: true });
  const report = await box.pass(sharedAgent(box, []), files);
  t.like(report, { complete: false, findings: [{ reason: 'WriteFailed', path: lockFolder }] });
  t.deepEqual(report.owners, ['hub', 'quay']);
});

test('a restore without lock or journal is no report: nobody could look', async (t) => {
  const box = sandbox(t);
  await box.pass(box.options());
  for (const [call, path] of [
    ['mkdirSync', lockFolder],
    ['readdirSync', journalFolder],
  ] as const) {
    const files = refusingFiles('EACCES', [call], (asked) => asked === join(box.root, path));
    await t.throwsAsync(box.pass(box.options({ mode: 'restore' }), files), { code: 'EACCES' });
    await t.throwsAsync(
      restoreMirrors(box.options(), toolsWith(files), () => true),
      { code: 'EACCES' },
    );
  }
});
