import test from 'ava';
import {
  byMirror,
  countVerbs,
  isWrite,
  requestsOf,
  tally,
  withoutMirror,
} from '../../../../bench/reconcile/audit.ts';
import { dayStart, request } from './request-event.ts';

const user = 'registry-mirror-operator';

test('only requests of the user that came in during the period are counted', (t) => {
  const events = [
    request('get secrets/before', 0.9),
    request('get secrets/first', 1),
    request('get secrets/admin', 1.5, { user: { username: 'admin' } }),
    request('get secrets/last', 1.999),
    request('get secrets/after', 2),
  ];
  const counted = requestsOf(events, user, { from: dayStart + 1000, to: dayStart + 2000 });
  t.deepEqual(
    counted.map(({ objectRef }) => objectRef?.name),
    ['first', 'last'],
  );
});

test('a watch with an event for its start and one for its end is one request, at the time it was asked for', (t) => {
  const started = request('watch services', 1);
  const ended = { ...started, stageTimestamp: new Date(dayStart + 300_000).toISOString() };
  t.deepEqual(requestsOf([started, ended], user, { from: dayStart, to: dayStart + 2000 }), [ended]);
});

test('verbs are counted, and those that only read are no writes', (t) => {
  const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch', 'patch', 'delete', 'deletecollection'];
  const events = verbs.map((verb) => request(`${verb} services`, 0));
  t.like(countVerbs(events), { total: 9, verbs: { patch: 2, list: 1 } });
  t.deepEqual(
    [...new Set(events.filter(isWrite).map(({ verb }) => verb))],
    verbs.slice(3, 6).concat(verbs.slice(7)),
  );
});

test('a request belongs to the mirror its object or its URL names', (t) => {
  const events = [
    request('patch services/registry-mirror-bench-00001-headless', 0),
    request('patch registrymirrors/bench-00001/status', 0),
    request('list pods', 0, { requestURI: '/api/v1/pods?labelSelector=mirror%3Dbench-00010' }),
    request('create secrets/registry-mirror-ca', 0),
  ];
  t.deepEqual(
    [...byMirror(events)].map(([name, { length }]) => [name, length]),
    [
      ['bench-00001', 2],
      ['bench-00010', 1],
    ],
  );
  t.deepEqual(withoutMirror(events), events.slice(3));
});

test('equal requests for several mirrors are told as one line, most frequent first, refused ones apart', (t) => {
  const events = [
    request('create secrets/registry-mirror-ca', 0),
    request('patch services/registry-mirror-bench-00001', 0),
    request('patch services/registry-mirror-bench-00002', 0),
    request('patch services/registry-mirror-bench-00003', 0, { responseStatus: { code: 409 } }),
    request('create events/bench-00001.ab12', 0),
    request('get version', 0, { objectRef: undefined, requestURI: '/version?timeout=1s' } as object),
  ];
  t.deepEqual(Object.entries(tally(events)), [
    ['patch services/registry-mirror-<mirror>', 2],
    ['create events', 1],
    ['create secrets/registry-mirror-ca', 1],
    ['get /version', 1],
    ['patch services/registry-mirror-<mirror> -> 409', 1],
  ]);
});
