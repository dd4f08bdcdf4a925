import test from 'ava';
import type { Action } from '../../../src/node/action.ts';
import { parseCaBundle } from '../../../src/node/ca-bundle.ts';
import { certificatePath, planDockerCa } from '../../../src/node/docker-ca.ts';
import type { FileState } from '../../../src/node/files.ts';
import { certificateOne, certificateTwo } from './certificates.ts';

const path = '/etc/docker/certs.d/mirror/ca.crt';
const record = { kind: 'docker-ca', mirror: 'hub', path, original: { kind: 'absent' } } as const;
const bundle = parseCaBundle(Buffer.from(certificateOne))!;

function plan(
  content: string | undefined,
  changes: { mirror?: string; names?: string[]; bundle?: undefined } = {},
) {
  const state: FileState =
    content === undefined
      ? { kind: 'absent' }
      : { kind: 'file', content: Buffer.from(content), mode: 0o644, uid: 0, gid: 0 };
  const input = {
    mirror: 'hub',
    names: ['mirror'],
    bundle,
    recorded: [record],
    read: () => state,
    ...changes,
  };
  const { actions, findings } = planDockerCa(input);
  return { actions, reasons: findings.map((finding) => finding.reason) };
}

function written(actions: readonly Action[]): string {
  const [action] = actions;
  return action?.do === 'write' ? action.content.toString() : '';
}

test('an absent ca.crt is written with a header and the certificates alone', (t) => {
  const text = written(plan(undefined).actions);
  t.regex(
    text,
    /^# registry-mirror-operator: managed; hub; sha256 [0-9a-f]{64}\n-----BEGIN CERTIFICATE-----\n/,
  );
  t.is(text.replace(/^.*\n/, ''), certificateOne);
  t.deepEqual(plan(text), { actions: [], reasons: [] });
});

test('the folder is the domain of an image reference: IPv6 in brackets, a port kept', (t) => {
  t.is(certificatePath('fd00::1'), '/etc/docker/certs.d/[fd00::1]/ca.crt');
  t.is(certificatePath('[fd00::1]:5000'), '/etc/docker/certs.d/[fd00::1]:5000/ca.crt');
  t.is(certificatePath('10.96.0.10'), '/etc/docker/certs.d/10.96.0.10/ca.crt');
});

test('a file of ours with another CA or an edit is rewritten, the edit is said', (t) => {
  const ours = written(plan(undefined).actions);
  const rotated = plan(ours, { bundle: parseCaBundle(Buffer.from(certificateTwo)) as never });
  t.true(written(rotated.actions).endsWith(certificateTwo));
  t.deepEqual(rotated.reasons, []);
  t.deepEqual(plan(`${ours}# note\n`).reasons, ['EditedFile']);
});

test('a foreign ca.crt with another CA is never overwritten', (t) => {
  t.deepEqual(plan(certificateTwo), { actions: [], reasons: ['ForeignFile'] });
  t.deepEqual(plan('garbage'), { actions: [], reasons: ['ForeignFile'] });
});

test('a foreign ca.crt that holds our CA already serves', (t) => {
  t.deepEqual(plan(certificateTwo + certificateOne.replaceAll('\n', '\r\n')), { actions: [], reasons: [] });
});

test('a file of another mirror is left to it', (t) => {
  const other = written(plan(undefined, { mirror: 'other' }).actions);
  t.deepEqual(plan(other), { actions: [], reasons: [] });
  t.deepEqual(plan(other, { bundle: parseCaBundle(Buffer.from(certificateTwo)) as never }).reasons, [
    'FileOfOtherMirror',
  ]);
});

test('without a usable CA what lies there stays', (t) => {
  const ours = written(plan(undefined).actions);
  t.deepEqual(plan(ours, { bundle: undefined }), { actions: [], reasons: [] });
});

test('a name that is no longer wanted loses our file, never a foreign one', (t) => {
  const ours = written(plan(undefined).actions);
  t.deepEqual(
    plan(ours, { names: [] }).actions.map((action) => action.do),
    ['delete', 'forget'],
  );
  t.deepEqual(
    plan(certificateOne, { names: [] }).actions.map((action) => action.do),
    ['forget'],
  );
});

test('a bundle is what remains of a file without everything that is no certificate', (t) => {
  const key = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n';
  t.is(
    parseCaBundle(Buffer.from(`x\n${key}${certificateOne}${certificateOne}${certificateTwo}`))?.pem,
    certificateOne + certificateTwo,
  );
  t.is(parseCaBundle(Buffer.from(key)), undefined);
  t.is(parseCaBundle(Buffer.from(certificateOne.replace('MII', 'AAA'))), undefined);
});
