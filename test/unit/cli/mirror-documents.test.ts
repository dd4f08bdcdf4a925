import test from 'ava';
import { readMirrorDocuments } from '../../../src/cli/mirror-documents.ts';

const mirror = (name: string, upstream = 'quay.io') =>
  `apiVersion: k8s.osp.tech/v1\nkind: RegistryMirror\nmetadata:\n  name: ${name}\nspec:\n  upstreamUrl: ${upstream}\n`;

test('mirrors of several documents are read with their defaults, Secrets are passed over', (t) => {
  const read = readMirrorDocuments(`${mirror('a')}---\nkind: Secret\n---\n${mirror('b')}`, 'f.yaml');
  t.deepEqual('mirrors' in read && read.mirrors.map(({ metadata, spec }) => [metadata.name, spec.replicas]), [
    ['a', 2],
    ['b', 2],
  ]);
});

test('what `kubectl get -o yaml` prints is read, and its faults have their lines', (t) => {
  const list = (upstream: string) =>
    `apiVersion: v1\nkind: List\nitems:\n- ${mirror('a', upstream).trim().replaceAll('\n', '\n  ')}\n`;
  const read = readMirrorDocuments(list('quay.io'), 'f.yaml');
  t.deepEqual('mirrors' in read && read.mirrors.map(({ metadata }) => metadata.name), ['a']);
  const faulty = readMirrorDocuments(list('UPPER'), 'f.yaml');
  t.regex('faults' in faulty ? faulty.faults[0]! : '', /^f\.yaml:9: .*spec\.upstreamUrl/);
});

test('every fault of every document is told with file, line, document, name and field', (t) => {
  const text = `${mirror('a', 'UPPER')}---\n${mirror('b.c')}---\nkind: Pod\nmetadata: {name: p}\nspec: {}\n`;
  const read = readMirrorDocuments(text, 'f.yaml');
  const faults = 'faults' in read ? read.faults : [];
  t.is(faults.length, 5, faults.join('\n'));
  t.regex(
    faults[0]!,
    /^f\.yaml:6: document 1 \(RegistryMirror "a"\): spec\.upstreamUrl: Invalid value: "UPPER"/,
  );
  t.regex(
    faults[1]!,
    /^f\.yaml:11: document 2 \(RegistryMirror "b\.c"\): metadata\.name: Invalid value: metadata\.name: expected a/,
  );
  t.regex(faults[2]!, /document 3 \(Pod "p"\): apiVersion/);
  t.regex(
    faults[3]!,
    /^f\.yaml:15: document 3 \(Pod "p"\): kind: Invalid value: "Pod": expected RegistryMirror/,
  );
});

test('empty fields are read as the API server takes them: as if they were not there', (t) => {
  const text = `${mirror('a')}  masqueradeUrl:\n  credentialsSecret: ~\n  priorityClass: null\nstatus:\n`;
  t.deepEqual(readMirrorDocuments(text, 'f.yaml'), readMirrorDocuments(mirror('a'), 'f.yaml'));
});

test('a name used twice is a fault, because the second object would replace the first', (t) => {
  const read = readMirrorDocuments(`${mirror('a')}---\n${mirror('a')}`, 'f.yaml');
  t.deepEqual(read, {
    faults: ['f.yaml:11: document 2 (RegistryMirror "a"): metadata.name: Duplicate value: "a"'],
  });
});

test('what is no YAML, and what has no mirror, is a fault with its line', (t) => {
  const broken = readMirrorDocuments(`${mirror('a')}x: [`, 'f.yaml');
  t.regex('faults' in broken ? broken.faults.join() : '', /^f\.yaml:\d+: /);
  t.deepEqual(readMirrorDocuments('# nothing\n', '-'), {
    faults: ['-:1: expected at least one RegistryMirror'],
  });
});
