import test from 'ava';
import { Problems } from '../../../src/config/problems.ts';
import { readWebhookSettings } from '../../../src/config/webhook-announcement.ts';

function read(env: Record<string, string>) {
  const problems = new Problems();
  return { settings: readWebhookSettings(env, problems), faults: problems.lines };
}

test('nothing set: our own certificate, and no pod fails for us', (t) => {
  t.deepEqual(read({}), {
    settings: {
      certificate: { kind: 'own' },
      failurePolicy: 'Ignore',
      timeoutSeconds: 5,
      reinvocationPolicy: 'IfNeeded',
      workloads: false,
      managesConfiguration: true,
      injectInto: [],
    },
    faults: [],
  });
});

test('every source of certificates', (t) => {
  const source = (env: Record<string, string>) => read(env).settings.certificate;
  t.deepEqual(source({ WEBHOOK_CERTIFICATE: 'cert-manager' }), {
    kind: 'certManager',
    issuer: { kind: 'Issuer', name: 'mirror-operator-issuer' },
  });
  t.deepEqual(source({ WEBHOOK_CERTIFICATE: 'cert-manager', WEBHOOK_ISSUER: 'ClusterIssuer/company' }), {
    kind: 'certManager',
    issuer: { kind: 'ClusterIssuer', name: 'company' },
  });
  t.deepEqual(source({ WEBHOOK_CERTIFICATE: 'secret', WEBHOOK_CERTIFICATE_SECRET: 'gilly-certs' }), {
    kind: 'secret',
    name: 'gilly-certs',
  });
  t.deepEqual(source({ WEBHOOK_CERTIFICATE: 'files', WEBHOOK_CA_FILE: '/ca.crt' }), {
    kind: 'files',
    authorityFile: '/ca.crt',
  });
});

test('every fault is said by its variable', (t) => {
  t.deepEqual(read({ WEBHOOK_CERTIFICATE: 'secret' }).faults, [
    'WEBHOOK_CERTIFICATE_SECRET: expected the name of a Secret, because of WEBHOOK_CERTIFICATE',
  ]);
  t.deepEqual(
    read({
      WEBHOOK_CERTIFICATE: 'files',
      WEBHOOK_CA_FILE: 'ca.crt',
      WEBHOOK_FAILURE_POLICY: 'fail',
      WEBHOOK_TIMEOUT_SECONDS: '31',
      WEBHOOK_REINVOCATION: 'Always',
      WEBHOOK_WORKLOADS: 'yes',
      WEBHOOK_INJECT_CA: 'gilly, Image_Swap',
      IMAGESWAP_DISABLE_AUTO_MWC: 'maybe',
    }).faults,
    [
      'IMAGESWAP_DISABLE_AUTO_MWC: expected one of true, false, got "maybe"',
      'WEBHOOK_CA_FILE: expected an absolute path, got "ca.crt"',
      'WEBHOOK_FAILURE_POLICY: expected one of Ignore, Fail, got "fail"',
      'WEBHOOK_TIMEOUT_SECONDS: expected a whole number from 1 to 30, got "31"',
      'WEBHOOK_REINVOCATION: expected one of IfNeeded, Never, got "Always"',
      'WEBHOOK_WORKLOADS: expected one of false, true, got "yes"',
      'WEBHOOK_INJECT_CA: expected names of MutatingWebhookConfigurations, got "Image_Swap"',
    ],
  );
  t.deepEqual(read({ WEBHOOK_CERTIFICATE: 'cert-manager', WEBHOOK_ISSUER: 'company' }).faults, [
    'WEBHOOK_ISSUER: expected Issuer/NAME or ClusterIssuer/NAME, got "company"',
  ]);
});
