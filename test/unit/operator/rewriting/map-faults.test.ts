import test from 'ava';
import { compileRules, type RuleTable } from '../../../../src/image/rules/table.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { MapFaults } from '../../../../src/operator/rewriting/map-faults.ts';

const { signal } = new AbortController();

test('each bad line is told once, with its number, in an event and in the log', async (t) => {
  const scene = setUp();
  await scene.put('default::', 'nonsense', 'quay.io::r.io', '[EXACT]a::');
  t.deepEqual(scene.events, [
    'line 2: expected KEY::VALUE',
    'line 4: an image cannot be made empty; to leave it as it is: [EXACT]a::a',
  ]);
  t.is(scene.log.length, 2);
  await scene.put('default::', '# a comment', 'nonsense', 'quay.io::r.io', '[EXACT]a::');
  await scene.reconcile();
  t.is(scene.events.length, 2);
  t.is(scene.log.length, 2);
});

test('a line that is mended and broken again is told again, as another occurrence', async (t) => {
  const scene = setUp();
  await scene.put('default::', 'nonsense');
  await scene.put('default::');
  await scene.put('default::', 'nonsense');
  t.deepEqual(scene.events, ['line 2: expected KEY::VALUE', 'line 2: expected KEY::VALUE']);
  t.not(scene.occurrences[0], scene.occurrences[1]);
});

test('10,000 bad lines are 21 events', async (t) => {
  const scene = setUp();
  const lines = Array.from({ length: 10_000 }, (_, index) => `nonsense-${index}`);
  await scene.put('default::', ...lines);
  await scene.reconcile();
  t.is(scene.events.length, 21);
  t.regex(scene.events.at(-1) ?? '', /^9980 more faults/);
  t.is(scene.log.length, 21);
  await scene.put('default::', ...lines.slice(0, 19));
  t.is(scene.events.length, 21, 'what is left was told');
  await scene.put('default::', ...lines);
  t.is(scene.events.length, 23, 'one more by itself, and the number of the others');
});

test('what is read from a file is told in the log only', async (t) => {
  const scene = setUp(false);
  await scene.put('default::', 'nonsense');
  t.deepEqual(scene.events, []);
  t.is(scene.log.length, 1);
  t.regex(scene.log[0] ?? '', /line 2: expected KEY::VALUE/);
});

test('a registry that is none is told, too', async (t) => {
  const scene = setUp(false);
  scene.table = compileRules({ gilly: { registry: 'no registry', exclude: [], keepSource: false } });
  await scene.reconcile();
  await scene.reconcile();
  t.is(scene.log.length, 1);
  t.regex(scene.log[0] ?? '', /gilly: expected a registry/);
});

function setUp(hasConfigMap = true) {
  const events: string[] = [];
  const occurrences: string[] = [];
  const log: string[] = [];
  let version = 0;
  const scene = {
    ...{ events, occurrences, log },
    table: compileRules({}) as RuleTable,
    async put(...lines: string[]) {
      version += 1;
      scene.table = compileRules({ imageswap: { map: lines.join('\n') } });
      await scene.reconcile();
    },
    reconcile: () => faults.reconcile(signal),
  };
  const faults = new MapFaults({
    rules: {
      get table() {
        return scene.table;
      },
      get imageswapMap() {
        return hasConfigMap ? configMap(`${version}`) : undefined;
      },
    },
    events: {
      async warning({ metadata }, reason, message, details) {
        if (metadata.name !== 'imageswap-maps' || reason !== 'MapFault') throw new Error(reason);
        events.push(message);
        occurrences.push(details?.occurrence ?? '');
      },
    },
    logger: createLogger({ destination: { write: (line: string) => void log.push(line) } }),
  });
  return scene;
}

function configMap(resourceVersion: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'imageswap-maps', namespace: 'default', uid: 'u', resourceVersion },
  };
}
