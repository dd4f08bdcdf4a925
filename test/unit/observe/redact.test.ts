import test from 'ava';
import { createLogger, errorMessage } from '../../../src/observe/log.ts';
import { redact, redactValue } from '../../../src/observe/redact.ts';

const secret = 's3cr3t-V4lu3';

const texts = [
  `GET https://user:${secret}@registry.example/v2/ failed`,
  `Authorization: Bearer ${secret}`,
  `authorization: basic ${secret}=`,
  `https://cdn.example/blob?X-Amz-Signature=${secret}&x=1`,
  `https://cdn.example/blob?sig=${secret}`,
  `https://auth.example/token?access_token=${secret}`,
  `-----BEGIN EC PRIVATE KEY-----\n${secret}\n-----END EC PRIVATE KEY-----`,
  `-----BEGIN PRIVATE KEY-----\n${secret}`,
];

for (const text of texts) {
  test(`${JSON.stringify(text.slice(0, 40))} loses its secret`, (t) => {
    t.false(redact(text).includes(secret));
  });
}

test('what is no secret stays as it is', (t) => {
  const text = 'GET https://registry.example:5000/v2/a/manifests/latest?ns=docker.io failed: 503';
  t.is(redact(text), text);
});

test('secret-named keys of objects are hidden at any depth', (t) => {
  t.deepEqual(redactValue({ a: [{ password: secret, name: 'x' }], Authorization: secret }), {
    a: [{ password: '[redacted]', name: 'x' }],
    Authorization: '[redacted]',
  });
});

test('no secret reaches a log line, in a field, an error or its cause', (t) => {
  let written = '';
  const logger = createLogger({ level: 'trace', destination: { write: (line) => (written += line) } });
  const error = new Error(`https://u:${secret}@host/`, { cause: new Error(`Bearer ${secret}`) });
  logger.info({ err: error, url: `https://u:${secret}@host/`, password: secret }, 'Tried');
  t.false(written.includes(secret));
  t.true(written.includes('"msg":"Tried"'));
  t.is(errorMessage(error), 'https://[redacted]@host/: Bearer [redacted]');
});
