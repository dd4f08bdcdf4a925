import test from 'ava';
import type { CacheMirror } from '../../../src/cache/cache-config.ts';
import { defaultView } from '../../../src/cache/nginx-view.ts';
import { cacheConfig, cacheMirror } from '../../support/cache-config.ts';

test('a name that two mirrors have means neither of them by Host, and is known as ?ns=', (t) => {
  const view = viewOf(
    cacheMirror('a', 'same.example/a', { masquerade: 'a' }),
    cacheMirror('b', 'same.example/b', { masquerade: 'b' }),
  );
  t.deepEqual(view.hosts, [
    { text: 'a', mirror: 'a' },
    { text: 'b', mirror: 'b' },
  ]);
  t.deepEqual(
    view.namespaces.find(({ text }) => text === 'same.example'),
    { text: 'same.example', mirror: '*' },
  );
});

test('a masquerade name wins over the same name as an upstream of another mirror', (t) => {
  const view = viewOf(
    cacheMirror('a', 'gcr.io'),
    cacheMirror('b', 'other.example', { masquerade: 'gcr.io' }),
  );
  t.deepEqual(
    view.hosts.find(({ text }) => text === 'gcr.io'),
    { text: 'gcr.io', mirror: 'b' },
  );
});

test('a name with a port is matched with its port, and as ?ns= in each way clients escape it', (t) => {
  const view = viewOf(cacheMirror('a', 'localhost:5000'), cacheMirror('b', 'localhost:5001'));
  t.deepEqual(
    view.authorities.filter(({ mirror }) => mirror === 'a').map(({ text }) => text),
    ['localhost:5000', 'mirror-localhost:5000'],
  );
  t.deepEqual(
    view.namespaces.filter(({ mirror }) => mirror === 'b').map(({ text }) => text),
    ['localhost:5001', 'localhost%3A5001', 'mirror-localhost:5001', 'mirror-localhost%3A5001'],
  );
});

test('a single mirror answers to any Host, one of several does not', (t) => {
  t.is(viewOf(cacheMirror('a', 'a.example')).onlyMirror, 'a');
  t.is(viewOf(cacheMirror('a', 'a.example'), cacheMirror('b', 'b.example')).onlyMirror, null);
});

test('a name of two certificates is served with the first of them', (t) => {
  const certificates = [
    { certFile: '/1', keyFile: '/1', names: ['a'] },
    { certFile: '/2', keyFile: '/2', names: ['a', 'b'] },
    { certFile: '/3', keyFile: '/3', names: ['b'] },
  ];
  const view = defaultView(cacheConfig([cacheMirror('a', 'a.example')], { certificates }));
  t.deepEqual(
    view.servers.filter(({ kind }) => kind === 'plain').map(({ names }) => names),
    [['a'], ['b'], ['-']],
  );
});

test('the keys of a large cache get the memory they need', (t) => {
  const zoneOf = (maxSizeMiB: number) =>
    viewOf(cacheMirror('a', 'a.example', { maxSizeMiB })).mirrors[0]?.keysZone;
  t.is(zoneOf(819), '27m', 'of a claim of 1 GiB');
  t.is(zoneOf(8 * 1024 * 1024), '289m', 'of one of 10 TiB');
});

test('a cache without mirrors or without a certificate is refused', (t) => {
  t.throws(() => viewOf(), { instanceOf: TypeError });
  t.throws(() => defaultView(cacheConfig([cacheMirror('a', 'a.example')], { certificates: [] })), {
    instanceOf: TypeError,
  });
});

function viewOf(...mirrors: CacheMirror[]) {
  return defaultView(cacheConfig(mirrors));
}
