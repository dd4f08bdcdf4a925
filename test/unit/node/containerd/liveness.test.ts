import test from 'ava';
import fc from 'fast-check';
import { pathInForce } from '../../../../src/node/containerd/config-path.ts';
import { containerdLiveness, type LivenessFacts } from '../../../../src/node/containerd/liveness.ts';

const now = Date.parse('2026-01-01T12:00:00Z');
const inForce = { inForce: { roots: ['/etc/containerd/certs.d'] as const }, findings: [] };

function judge(changes: Partial<LivenessFacts>) {
  const facts = { configs: [], processStartedAt: now - 60_000, pathDecision: inForce, now, ...changes };
  const { live, reason, message } = containerdLiveness(facts);
  return live && message === '' ? 'live' : reason;
}

const file = (mtimeMs?: number) => ({ path: '/c', ...(mtimeMs !== undefined && { mtimeMs }) });

test('it is live when it began after the last change of every file', (t) => {
  t.is(judge({}), 'live');
  t.is(judge({ configs: [file(now - 61_000), file(now - 3_600_000)] }), 'live');
  t.is(judge({ configs: [file(now - 61_000), file(now - 59_000)] }), 'NotRestarted');
  t.is(judge({ configs: [file(now - 60_000)] }), 'NotRestarted');
});

test('what a distribution writes right before it starts containerd was read', (t) => {
  const started = now - 60_000;
  const at = (mtimeMs: number) => judge({ configs: [{ path: '/c', mtimeMs, generated: true }] });
  t.is(at(started - 30), 'live');
  t.is(at(started + 90), 'live', 'within what the start may be off');
  t.is(at(started + 200), 'NotRestarted');
});

test('one that does not run, or reads no hosts.toml, is not live, and says why', (t) => {
  t.is(judge({ processStartedAt: undefined }), 'NotRunning');
  t.is(judge({ pathDecision: pathInForce(undefined, '1.7.27') }), 'ConfigPathUnset');
  t.is(judge({ pathDecision: { findings: [] } }), 'ConfigPathUnset');
  const trap = { reason: 'ColonTrap', message: 'm', blocks: true };
  t.is(judge({ pathDecision: { ...inForce, findings: [trap] } }), 'ColonTrap');
  t.is(judge({ pathDecision: { ...inForce, findings: [{ ...trap, blocks: false }] } }), 'live');
});

test('a clock that cannot be trusted makes nothing live', (t) => {
  t.is(judge({ processStartedAt: now + 60_000 }), 'ClockUnclear');
  t.is(judge({ configs: [file(now + 60_000)] }), 'ClockUnclear');
  t.is(judge({ configs: [file(now - 3_600_000), file()] }), 'ClockUnclear');
});

test('for any times: live means that every file is older than the process, and neither is of the future', (t) => {
  const times = fc.integer({ min: now - 10_000, max: now + 10_000 });
  fc.assert(
    fc.property(fc.array(times), times, (mtimes, processStartedAt) => {
      const live = judge({ configs: mtimes.map(file), processStartedAt }) === 'live';
      if (live) t.true(mtimes.every((each) => each < processStartedAt) && processStartedAt <= now + 100);
      else t.true(processStartedAt > now || mtimes.some((each) => each > processStartedAt - 200));
    }),
  );
});
