import test from 'ava';
import { ConfigError } from '../../../src/config/problems.ts';
import { readWebhookEnvironment } from '../../../src/config/webhook-environment.ts';

test('nothing is required, and the defaults are the documented ones', (t) => {
  const { settings, kubernetes, ...rest } = readWebhookEnvironment({ KUBERNETES_SERVICE_HOST: '10.0.0.1' });
  t.deepEqual(rest, {
    secondsBetweenStreams: 30,
    logLevel: 'info',
    port: 8443,
    httpPort: 8080,
    certificateFolder: '/etc/registry-mirror-webhook/tls',
    drainSeconds: 5,
  });
  t.true(kubernetes.inCluster);
  t.like(settings, { namespace: 'default', annotate: true, imageswap: { configMapNamespace: 'default' } });
});

test('variables replace the defaults, and the engine may be any', (t) => {
  const environment = readWebhookEnvironment({
    REWRITE_ENGINE: 'policy',
    GILLY_REGISTRY: 'my.internal.repo',
    WEBHOOK_PORT: '5000',
    HTTP_PORT: '0',
    WEBHOOK_CERTIFICATE_DIR: '/tls',
    WEBHOOK_DRAIN_SECONDS: '0.5',
    LOG_LEVEL: 'WARNING',
  });
  t.like(environment, {
    port: 5000,
    httpPort: 0,
    certificateFolder: '/tls',
    drainSeconds: 0.5,
    logLevel: 'warn',
  });
  t.is(environment.settings.gilly?.registry, 'my.internal.repo');
});

test('every wrong value is listed in one error', (t) => {
  const wrong = {
    WEBHOOK_PORT: '0',
    HTTP_PORT: '-1',
    WEBHOOK_CERTIFICATE_DIR: 'tls',
    WEBHOOK_DRAIN_SECONDS: 'soon',
    SECONDS_BETWEEN_STREAMS: '0',
    IMAGESWAP_MODE: 'MAPP',
    LOG_LEVEL: 'loud',
  };
  const error = t.throws(() => readWebhookEnvironment(wrong), { instanceOf: ConfigError });
  for (const [name, value] of Object.entries(wrong))
    t.true(
      error?.problems.some((line) => line.startsWith(`${name}: expected `) && line.includes(value)),
      name,
    );
});
