import test from 'ava';
import { curlConfig, parseTimes, parseTransferred } from '../../../../bench/cache/curl.ts';
import { upstreamUse } from '../../../../bench/cache/upstream-log.ts';

test('curl is told to make all transfers at once, each to a file of its own', (t) => {
  const transfers = [
    { url: 'https://a/1', file: '/dev/null' },
    { url: 'https://a/2', file: '/kept' },
  ];
  const text = curlConfig(transfers, { caFile: '/ca.crt', accept: '*/*', range: { start: 1, end: 9 } });
  t.true(text.includes('parallel-max = 2\n'));
  t.true(text.includes('range = 1-9\n'));
  t.true(text.endsWith('url = "https://a/1"\noutput = "/dev/null"\nurl = "https://a/2"\noutput = "/kept"\n'));
  t.false(text.includes('insecure'));
});

test('what curl prints is read back, and anything else is an error', (t) => {
  t.deepEqual(parseTransferred('206 0 1048576 0.102 0.5 https://a/1\n000 7 0 0.0 0.1 https://a/2\n'), [
    { url: 'https://a/1', status: 206, exitCode: 0, bytes: 1048576, firstByteSeconds: 0.102, seconds: 0.5 },
    { url: 'https://a/2', status: 0, exitCode: 7, bytes: 0, firstByteSeconds: 0, seconds: 0.1 },
  ]);
  t.throws(() => parseTransferred('curl: (7) refused\n'), { message: /Not what curl/ });
});

test('processor time of all children is the last line of times', (t) => {
  t.is(parseTimes('0m0.010s 0m0.020s\n1m1.500s 0m0.250s\n'), 61.75);
  t.throws(() => parseTimes(''), { message: /Not what times/ });
});

test('tokens, redirects and the bytes of the second origin are counted from the logs', (t) => {
  const registry = ['401 40 GET /v2/a/blobs/x', '200 90 GET /token', '307 0 GET /v2/a/blobs/x', ''].join(
    '\n',
  );
  const cdn = '206 8388608 GET /blobs/x\n206 100 GET /blobs/x\n';
  t.deepEqual(upstreamUse(registry, cdn), { requests: 5, tokens: 1, redirects: 1, bytes: 8388708 });
  t.deepEqual(upstreamUse('', ''), { requests: 0, tokens: 0, redirects: 0, bytes: 0 });
});
