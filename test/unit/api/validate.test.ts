import test from 'ava';
import fc from 'fast-check';
import { validateRegistryMirror } from '../../../src/api/validate.ts';

function mirror(spec: unknown, name = 'docker') {
  return { apiVersion: 'k8s.osp.tech/v1', kind: 'RegistryMirror', metadata: { name }, spec };
}

function messages(object: unknown): string[] {
  const result = validateRegistryMirror(object);
  return 'faults' in result ? result.faults.map(({ path, message }) => `${path.join('.')}: ${message}`) : [];
}

test('the original operator’s manifests pass and get the defaults', (t) => {
  const result = validateRegistryMirror(
    mirror({
      upstreamUrl: 'hub.docker.io',
      masqueradeUrl: 'local.docker.io',
      credentialsSecret: 'internal-mirror',
      volumeClaimTemplate: { spec: { resources: { requests: { storage: '20Gi' } } } },
      priorityClass: 'user-standard',
    }),
  );
  t.true('mirror' in result);
  t.is('mirror' in result ? result.mirror.spec.replicas : undefined, 2);
});

test('every fault is listed, each with its field', (t) => {
  const faults = messages(
    mirror({ upstreamUrl: 'a b', replicas: 'two', tolerations: [{ effect: 'No' }], nonsense: 1 }),
  );
  t.is(faults.length, 4);
  t.true(
    faults.some((fault) =>
      fault.startsWith('spec.upstreamUrl: Invalid value: "a b": spec.upstreamUrl in body should match'),
    ),
  );
  t.true(
    faults.some((fault) =>
      fault.startsWith(
        'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer',
      ),
    ),
  );
  t.true(
    faults.some((fault) =>
      fault.startsWith('spec.tolerations.0.effect: Unsupported value: "No": supported values: "NoSchedule"'),
    ),
  );
  t.true(faults.some((fault) => fault.includes('unknown field "spec.nonsense"')));
});

for (const [field, value, shown] of [
  ['upstreamUrl', 'user:S3CRET@quay.io', '[redacted]@quay.io'],
  ['upstreamUrl', 'https://u:S3CRET/p@S3CRET@quay.io', 'https://[redacted]@quay.io'],
  ['upstreamUrl', 'u:\nS3CRET"@quay.io', '[redacted]@quay.io'],
  ['masqueradeUrl', 'S3CRET@quay.io', '[redacted]@quay.io'],
  ['upstreamProxy', 'HTTP://u:S3CRET@p:3128', 'HTTP://[redacted]@p:3128'],
  ['access', 'u:S3CRET@p', '[redacted]@p'],
  ['redirectHosts', ['u:S3CRET@p'], '[redacted]@p'],
] as const) {
  test(`${field}: user information of ${JSON.stringify(value)} is not shown`, (t) => {
    const faults = messages(mirror({ upstreamUrl: 'quay.io', [field]: value })).join();
    t.true(faults.includes(field) && faults.includes(`value: ${JSON.stringify(shown)}`), faults);
    t.false(faults.includes('S3CRET'));
  });
}

test('a missing upstreamUrl is a required value', (t) => {
  t.deepEqual(messages(mirror({})), ['spec.upstreamUrl: Required value']);
});

test('credentials over http are refused', (t) => {
  t.regex(
    messages(mirror({ upstreamUrl: 'http://a', credentialsSecret: 'b' }))[0] ?? '',
    /never sent in the clear/,
  );
});

test('an empty text for a Secret or a class is none, a null as if it were not there', (t) => {
  const specOf = (spec: object) => {
    const result = validateRegistryMirror(mirror({ upstreamUrl: 'http://a', ...spec }));
    return 'mirror' in result ? result.mirror.spec : result.faults;
  };
  const plain = specOf({});
  t.deepEqual(specOf({ credentialsSecret: '' }), plain);
  t.deepEqual(
    specOf({ masqueradeUrl: null, credentialsSecret: null, priorityClass: null, replicas: null }),
    plain,
  );
  t.like(specOf({ priorityClass: '' }), { priorityClass: '' });
});

test('claims are read as the original took them, in the spelling of Python; the API’s spelling counts more', (t) => {
  const claimOf = (spec: object) => {
    const result = validateRegistryMirror(mirror({ upstreamUrl: 'a', volumeClaimTemplate: { spec } }));
    return 'mirror' in result ? result.mirror.spec.volumeClaimTemplate?.spec : result.faults;
  };
  const camel = {
    storageClassName: 'fast',
    accessModes: ['ReadWriteMany'],
    volumeMode: 'Filesystem',
    volumeName: 'v',
  };
  const snake = {
    storage_class_name: 'fast',
    access_modes: ['ReadWriteMany'],
    volume_mode: 'Filesystem',
    volume_name: 'v',
    data_source: null,
  };
  const rest = {
    resources: { requests: { storage: '1Gi', my_resource: '1' } },
    selector: { matchLabels: { a_b: 'c' } },
  };
  t.deepEqual(claimOf({ ...snake, ...rest }), { ...camel, ...rest });
  t.deepEqual(claimOf({ storageClassName: 'slow', storage_class_name: 'fast' }), {
    storageClassName: 'slow',
  });
  t.like(claimOf({ access_modes: ['All'] }), {
    0: { path: ['spec', 'volumeClaimTemplate', 'spec', 'accessModes', 0] },
  });
});

test('names longer than 36 characters or with dots are refused', (t) => {
  t.regex(messages(mirror({ upstreamUrl: 'a' }, 'x'.repeat(37)))[0] ?? '', /at most 36/);
  t.regex(messages(mirror({ upstreamUrl: 'a' }, 'a.b'))[0] ?? '', /without dots/);
});

test('a rule that is broken is told at the field to mend, also where another field breaks the schema', (t) => {
  const cache = { tagTTL: 'soon' };
  const fields = (spec: object, name?: string) =>
    messages(mirror(spec, name)).map((fault) => fault.slice(0, fault.indexOf(':')));
  t.deepEqual(fields({ upstreamUrl: 'a', cache }, 'a.b'), ['spec.cache.tagTTL', 'metadata.name']);
  t.deepEqual(fields({ upstreamUrl: 'http://a', credentialsSecret: 'b', cache }), [
    'spec.cache.tagTTL',
    'spec.credentialsSecret',
  ]);
  t.deepEqual(fields({ upstreamUrl: '[::1]', cache }), ['spec.cache.tagTTL', 'spec.masqueradeUrl']);
  t.deepEqual(fields({ upstreamUrl: '[ evil' }), ['spec.upstreamUrl']);
});

test('anything at all gets faults or a mirror, never an exception', (t) => {
  fc.assert(
    fc.property(fc.anything(), fc.anything(), (spec, whole) => {
      validateRegistryMirror(mirror(spec));
      validateRegistryMirror(whole);
    }),
  );
  t.pass();
});

test('a field named like a part of every object is unknown like any other', (t) => {
  const spec = JSON.parse('{"upstreamUrl": "a", "__proto__": 0, "constructor": 1}');
  t.deepEqual(messages(mirror(spec)).sort(), [
    'spec.__proto__: strict decoding error: unknown field "spec.__proto__"',
    'spec.constructor: strict decoding error: unknown field "spec.constructor"',
  ]);
});
