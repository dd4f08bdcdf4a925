import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { compileTo } from '../support/compile.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { writeServiceAccount } from '../support/pod-access.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const execute = promisify(execFile);
let plane: ControlPlane;
let folder: string;

test.before(async () => {
  plane = await startControlPlane();
  await plane.applyCrd(join(root, 'crds/registrymirrors.k8s.osp.tech.yaml'));
  folder = await mkdtemp(join(tmpdir(), 'probe-'));
  await layOutImage(join(folder, 'upper'));
});

test.after.always(async () => {
  await plane?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** The files the Dockerfile puts into the image, and the service account a pod would find. */
async function layOutImage(upper: string): Promise<void> {
  await compileTo(join(upper, 'app/dist'));
  await mkdir(join(upper, 'app/node_modules'));
  for (const [from, to] of await copiedFiles())
    await cp(join(root, from), join(upper, to), { recursive: true });
  const rules = [
    { apiGroups: ['k8s.osp.tech'], resources: ['registrymirrors'], verbs: ['list'] },
    { apiGroups: [''], resources: ['services', 'configmaps'], verbs: ['list', 'get'] },
  ];
  const token = await plane.tokenFor({ namespace: 'default', name: 'mirror-operator' }, rules);
  const ca = await readFile(plane.caFile, 'utf8');
  await writeServiceAccount(join(upper, 'run'), { apiServerUrl: plane.url, ca, token });
}

/** What the last stage of the Dockerfile copies from the checkout, and where to. */
async function copiedFiles(): Promise<[string, string][]> {
  const lastStage = (await readFile(join(root, 'Dockerfile'), 'utf8')).split(/^FROM /m).at(-1) ?? '';
  const copies = lastStage.matchAll(/^COPY (?!--from)(.+) (\S+)$/gm);
  return [...copies].flatMap(([, sources = '', to = '']) =>
    sources
      .split(' ')
      .map((from): [string, string] => [
        from,
        join('/app', to === './' ? from : to).replace('/app/usr', '/usr'),
      ]),
  );
}

/** Runs the documented probe command in this machine's root file system with the image's files laid over it. */
async function probe(): Promise<{ code: number; stderr: string; ms: number; peakKiB: number }> {
  const { hostname, port } = new URL(plane.url);
  const script = `
    set -e
    mkdir -p work merged
    mount -t tmpfs tmpfs work && mkdir work/up work/wd && cp -a upper/. work/up/
    mount -t overlay overlay -o lowerdir=/,upperdir=work/up,workdir=work/wd merged
    mount --rbind /proc merged/proc
    mount --rbind /dev merged/dev
    mount --bind "$NODE_MODULES" merged/app/node_modules
    start=$(date +%s%N)
    code=0
    chroot merged /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin KUBERNETES_SERVICE_HOST=${hostname} KUBERNETES_SERVICE_PORT=${port} ADDRESSING_SCHEME=services \\
      /usr/local/bin/python /app/mirroroperator/operator.py --map-check 2>merged/tmp/stderr & pid=$!
    peak=0
    while now=$(sed -n 's/^VmHWM:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/$pid/status 2>/dev/null) && [ -n "$now" ]; do peak=$now; sleep 0.05; done
    wait $pid || code=$?
    echo "$code $(( ($(date +%s%N) - start) / 1000000 )) $peak"
    cat merged/tmp/stderr >&2`;
  const { stdout, stderr } = await execute('unshare', ['-m', 'bash', '-c', script], {
    cwd: folder,
    env: { ...process.env, NODE_MODULES: join(root, 'node_modules') },
  });
  const [code = NaN, ms = NaN, peakKiB = NaN] = stdout.trim().split(' ').map(Number);
  return { code, stderr, ms, peakKiB };
}

test.serial(
  'the probe command of the original’s documentation works in a pod of ours, within its one second and 100 MB',
  async (t) => {
    await plane.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'imageswap-maps', namespace: 'default' },
      data: { maps: 'default:\n' },
    });
    const times: number[] = [];
    // The machine has other things to do as well: what counts is that it can be done.
    while (times.length < 10 && !times.some((ms) => ms < 1000)) {
      const { code, stderr, ms, peakKiB } = await probe();
      t.is(code, 0, stderr);
      t.true(peakKiB < 100 * 1000, `${peakKiB} KiB`);
      times.push(ms);
    }
    t.log(times);
    t.true(
      times.some((ms) => ms < 1000),
      `${times} ms`,
    );
  },
);

test.serial('the probe command fails with a line that says what differs', async (t) => {
  await plane.apply({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'imageswap-maps', namespace: 'default' },
    data: { maps: 'nonsense' },
  });
  const result = await probe();
  t.is(result.code, 1);
  t.is(
    result.stderr,
    'ConfigMap default/imageswap-maps differs: missing "default:\\n", foreign "nonsense"\n',
  );
});
