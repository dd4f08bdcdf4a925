import test from 'ava';
import type { RequestEvent } from '../../../../bench/reconcile/audit.ts';
import { figuresOf, type Observation } from '../../../../bench/reconcile/figures.ts';
import { expectedObjects, mirrorNames } from '../../../../bench/reconcile/mirrors.ts';
import { dayStart, request } from './request-event.ts';

const admin = { user: { username: 'admin' } };

/** Created from second 0, idle from 10, restarted at 80, the new process started at 81. */
const observation: Observation = {
  mirrors: 2,
  creation: { from: dayStart, to: dayStart + 10_000 },
  loadBefore: 1,
  cpuSeconds: 1.234,
  idle: { from: dayStart + 10_000, to: dayStart + 70_000 },
  restart: { from: dayStart + 80_000, started: dayStart + 81_000, to: dayStart + 90_000 },
  memory: { peak: 90, now: 80, anonymous: 50 },
};

/** The least that a run with two mirrors logs. */
function log(): RequestEvent[] {
  const [first, second] = mirrorNames(2);
  return [
    request(`create registrymirrors/${first}`, 0, admin),
    request(`create registrymirrors/${second}`, 0.4, admin),
    ...expectedObjects(mirrorNames(2)).map((object, index) => request(`patch ${object}`, 1 + index / 10)),
    request('update leases/registry-mirror-operator', 5),
    request('update leases/registry-mirror-operator', 20),
    request('update leases/registry-mirror-operator', 80.1),
    request('list services', 81.4),
    request('get leases/registry-mirror-operator', 81.5),
    request('update leases/registry-mirror-operator', 81.9),
    request('watch services', 81.6),
  ];
}

test('time runs from the first creation until the last expected object was first written', (t) => {
  const again = request('patch registrymirrors/bench-00001/status', 8);
  const { secondsUntilAllExist, secondsOfCreation } = figuresOf([...log(), again], observation);
  t.is(secondsOfCreation, 0.5);
  t.is(secondsUntilAllExist, 2.6);
});

test('a write that was refused makes no object exist', (t) => {
  const events = log().filter(({ objectRef }) => objectRef?.resource !== 'daemonsets');
  const refused = request('patch daemonsets/registry-mirror-bench-00000-utils', 2, {
    responseStatus: { code: 403 },
  });
  t.throws(() => figuresOf([...events, refused], observation), {
    message: 'The audit log has no write of daemonsets/registry-mirror-bench-00000-utils',
  });
});

test('requests for new mirrors are those of the operator, the Lease left out, each mirror’s own apart', (t) => {
  const authority = request('create secrets/registry-mirror-ca', 1);
  const again = request('patch services/registry-mirror-bench-00001', 3, { responseStatus: { code: 409 } });
  const { newMirrors } = figuresOf([...log(), authority, again], observation);
  t.like(newMirrors, {
    requests: { total: 18, verbs: { create: 1, patch: 17 } },
    requestsPerMirror: 9,
    mostRequestsForOne: 9,
    requestsNamingNone: 1,
    refused: 1,
  });
});

test('an idle operator and a restarted one are told apart by the times their requests came in', (t) => {
  const write = request('patch services/registry-mirror-bench-00001', 85);
  const { idle, restart } = figuresOf([...log(), write], observation);
  t.like(idle, { seconds: 60, requests: { total: 1 }, leaseRequests: 1, writesButLease: 0 });
  t.like(restart, { requests: { total: 6 }, leaseRequests: 3, writesButLease: 1 });
});

test('a restarted operator leads with its own first write of the Lease, not when the old one gave it back', (t) => {
  t.is(figuresOf(log(), observation).restart.secondsUntilLeading, 2);
});
