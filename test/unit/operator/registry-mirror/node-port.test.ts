import test from 'ava';
import fc from 'fast-check';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import type { LiveDaemonSet } from '../../../../src/operator/registry-mirror/live-objects.ts';
import { choosePort, NodePorts, portOf } from '../../../../src/operator/registry-mirror/node-port.ts';
import type { StoredMirror } from '../../../../src/operator/registry-mirror/status.ts';

const range = { first: 29_000, last: 29_003 };

function mirror(name: string, nodePort?: number, creationTimestamp = '2026-01-01T00:00:00Z'): StoredMirror {
  const metadata = { name, uid: name, resourceVersion: '1', creationTimestamp };
  const status = nodePort === undefined ? {} : { status: { nodePort } };
  return { apiVersion: 'k8s.osp.tech/v1', kind: 'RegistryMirror', metadata, ...status };
}

function agents(name: string, port: string): LiveDaemonSet {
  const containers = [{ name: 'x' }, { name: 'mirror-hostess', env: [{ name: 'NODE_PORT', value: port }] }];
  const metadata = { name: `registry-mirror-${name}-utils`, namespace: 'd', labels: { mirror: name } };
  return { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata, spec: { template: { spec: { containers } } } };
}

/** Ports of an operator that sees these mirrors and DaemonSets. */
function scene(mirrors: readonly StoredMirror[], sets: readonly KubeObject[] = []) {
  const [seen, made] = [new Store(), new Store()];
  for (const one of mirrors) seen.put(one);
  for (const set of sets) made.put(set);
  const views = { mirrors: new LiveView(seen), daemonSets: new LiveView(made) };
  return { seen, ports: new NodePorts(views, range) };
}

test('Mirrors that ask at once get one port each, the lowest that are free, never the shared agent’s', (t) => {
  const mirrors = [mirror('a'), mirror('b', 29_002), mirror('c')];
  const { ports } = scene(mirrors);
  t.deepEqual(
    mirrors.map((one) => ports.allocate(one, undefined)),
    [29_001, 29_002, 29_003],
  );
  t.is(ports.allocate(mirrors[0]!, undefined), 29_001, 'the same when it is asked for again');
});

test('Where no port is left there is none, until a mirror is gone', (t) => {
  const { ports, seen } = scene([mirror('a', 29_001), mirror('b', 29_002), mirror('c', 29_003), mirror('d')]);
  t.is(ports.allocate(mirror('d'), undefined), undefined);
  seen.remove('b');
  t.is(ports.allocate(mirror('d'), undefined), 29_002);
});

test('A port outside of the range is kept, as is the one that the agents were made with', (t) => {
  const { ports } = scene([mirror('a', 31_000), mirror('b'), mirror('c')], [agents('b', '30500')]);
  t.is(ports.allocate(mirror('a', 31_000), agents('a', '30000')), 31_000);
  t.is(ports.allocate(mirror('b'), agents('b', '30500')), 30_500);
});

test('A port in another mirror’s DaemonSet is taken though no status names it yet', (t) => {
  const { ports } = scene([mirror('a'), mirror('b')], [agents('b', '29001')]);
  t.is(ports.allocate(mirror('a'), undefined), 29_002);
  t.is(ports.allocate(mirror('b'), agents('b', '29001')), 29_001);
});

test('Of two mirrors with one port the older keeps it, of the same age the first by name', (t) => {
  const young = mirror('a', 29_001, '2026-02-01T00:00:00Z');
  const [b, c] = [mirror('b', 29_001), mirror('c', 29_001)];
  const { ports } = scene([young, b, c]);
  t.is(ports.allocate(young, agents('a', '29001')), 29_002);
  t.is(ports.allocate(c, undefined), 29_003);
  t.is(ports.allocate(b, undefined), 29_001);
});

test('The shared agent’s port is nobody else’s, also where the range was moved onto it', (t) => {
  t.is(scene([]).ports.allocate(mirror('a', 29_000), undefined), 29_001);
});

test('What is no port in an environment is none', (t) => {
  t.is(portOf(agents('a', '29001')), 29_001);
  t.is(portOf(agents('a', '')), undefined);
  t.is(portOf({ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'x' } }), undefined);
});

test('Whatever mirrors claim, no two of them end with one port, and who has one of its own keeps it', (t) => {
  const known = fc.option(fc.integer({ min: range.first, max: range.last + 2 }), { nil: undefined });
  fc.assert(
    fc.property(fc.array(fc.record({ known, age: fc.integer({ min: 1, max: 3 }) })), (mirrors) => {
      const claims = mirrors.map(({ known: port, age }, index) => ({
        metadata: { name: `m${index}`, creationTimestamp: `2026-01-0${age}T00:00:00Z` },
        port,
      }));
      const given: { metadata: { name: string; creationTimestamp: string }; port: number }[] = [];
      for (const { metadata, port } of claims) {
        const others = claims.filter((one) => one.metadata !== metadata);
        const taken = others.flatMap((one) => {
          const now = given.find(({ metadata: { name } }) => name === one.metadata.name)?.port ?? one.port;
          return now === undefined ? [] : [{ metadata: one.metadata, port: now }];
        });
        const chosen = choosePort({
          mirror: metadata,
          known: port === undefined ? [] : [port],
          claims: taken,
          range,
        });
        if (chosen !== undefined) given.push({ metadata, port: chosen });
        const alone = !others.some((one) => one.port === port) && port !== range.first && port !== undefined;
        if (alone) t.is(chosen, port);
      }
      t.is(new Set(given.map(({ port }) => port)).size, given.length);
    }),
  );
});
