import test from 'ava';
import fc from 'fast-check';
import { parseRequestLine } from '../../../../../src/cache/broker/metrics/request-line.ts';

const whole = '1700000000.123\thub\tfallback\tblob\tGET\t206\t8388608\t1.250\tMISS\t0.350';

test('a line of nginx is read', (t) => {
  t.deepEqual(parseRequestLine(whole), {
    at: 1_700_000_000_123,
    mirror: 'hub',
    address: 'fallback',
    object: 'blob',
    status: 206,
    bytes: 8388608,
    seconds: 1.25,
    cache: 'miss',
    brokerSeconds: 0.35,
  });
});

test('a hit asked nobody; a broker that was asked twice took both times', (t) => {
  const hit = parseRequestLine('1.0\thub\tplain\ttag\tGET\t200\t500\t0.000\tHIT\t-');
  t.is(hit?.cache, 'hit');
  t.is(hit?.brokerSeconds, undefined);
  const twice = parseRequestLine('1.0\thub\tplain\ttag\tGET\t200\t500\t0.000\tEXPIRED\t1.000, - : 0.500');
  t.is(twice?.brokerSeconds, 1.5);
});

test('what asked for no mirror and no object belongs to none', (t) => {
  const line = parseRequestLine('1.0\t-\t-\t-\tGET\t404\t70\t0.000\t-\t-');
  t.like(line, { mirror: '', address: 'other', object: 'other', cache: 'none' });
});

test('fields that come later do no harm', (t) => {
  t.deepEqual(parseRequestLine(`${whole}\tmore`), parseRequestLine(whole));
});

test('whatever stands in a line, no label is made up by it', (t) => {
  const known =
    /^(?:plain|fallback|peer|local|other|blob|manifest|tag|list|ping|hit|miss|expired|revalidated|stale|updating|bypass|scarce|none)$/;
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 8, maxLength: 12 }), (parts) => {
      const line = parseRequestLine(parts.join('\t')) ?? parseRequestLine(['1', 'm', ...parts].join('\t'));
      if (line === undefined) return;
      for (const label of [line.address, line.object, line.cache]) t.regex(label, known);
      for (const value of [line.at, line.bytes, line.seconds]) t.true(Number.isFinite(value));
    }),
  );
  for (const cut of [whole.slice(0, 50), '', 'x', whole.replace('8388608', '-5')]) {
    t.is(parseRequestLine(cut), undefined, cut);
  }
});
