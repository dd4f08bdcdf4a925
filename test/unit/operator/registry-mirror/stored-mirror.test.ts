import test from 'ava';
import { readStored } from '../../../../src/operator/registry-mirror/stored-mirror.ts';

test('what is said of a stored mirror with a password in its upstreamUrl names the field and not the password', (t) => {
  const read = readStored({
    apiVersion: 'k8s.osp.tech/v1',
    kind: 'RegistryMirror',
    metadata: { name: 'a' },
    spec: { upstreamUrl: 'user:S3CRET@quay.io' },
  });
  const said = 'faults' in read ? read.faults : '';
  t.regex(said, /^spec[.]upstreamUrl: .*@quay[.]io/);
  t.false(said.includes('S3CRET'));
});
