/** Whatever passes the schema stays a value in nginx's configuration and in the hosts file: it becomes no directive and no other line. */
import test from 'ava';
import fc from 'fast-check';
import type { RegistryMirror } from '../../../src/api/registry-mirror.ts';
import { defaultMasquerade, masqueradeUrlPattern, upstreamUrlPattern } from '../../../src/api/upstream.ts';
import { validateRegistryMirror } from '../../../src/api/validate.ts';
import { cacheFiles } from '../../../src/cache/cache-files.ts';
import { readNodeAgentEnvironment } from '../../../src/config/node-agent-environment.ts';
import { planHostsFile } from '../../../src/node/hosts-file.ts';
import { hostsEntries } from '../../../src/node/mirror-endpoint.ts';
import { podCacheConfig } from '../../../src/operator/registry-mirror/cache-view.ts';
import { settingsOf } from '../resources/fixtures.ts';

const clusterIPs = ['10.96.7.1'];

const hostile = fc.oneof(
  fc.constantFrom(
    'a;b',
    'a{',
    'a}',
    'a"',
    "a'",
    'a\nb',
    'a b',
    '$host',
    '#a',
    'a\\',
    '$'.concat('{x}'),
    '~a',
    'a\0',
    'default',
    'include',
    'hostnames',
    'volatile',
  ),
  fc.string({ unit: 'binary', maxLength: 30 }),
);
/** What the pattern takes; what is in brackets hardly ever is an address by chance. */
const upstreamUrl = fc
  .stringMatching(new RegExp(upstreamUrlPattern))
  .map((text) => text.replace(/\[.*\]/, '[fd00::1]'));
const spec = fc.record(
  {
    upstreamUrl: fc.oneof({ weight: 3, arbitrary: upstreamUrl }, { weight: 1, arbitrary: hostile }),
    masqueradeUrl: fc.oneof(
      { weight: 3, arbitrary: fc.stringMatching(new RegExp(masqueradeUrlPattern)) },
      { weight: 1, arbitrary: hostile },
    ),
    cache: fc.record({ tagTTL: fc.oneof(fc.stringMatching(/^[1-9][0-9]{0,5}(s|m|h)$/), hostile) }),
    volumeClaimTemplate: fc.record({
      spec: fc.record({
        resources: fc.record({
          requests: fc.record({
            storage: fc.oneof(fc.stringMatching(/^[0-9]{1,4}(Ki|Mi|Gi|M|G|m)?$/), hostile),
          }),
        }),
      }),
    }),
  },
  { requiredKeys: ['upstreamUrl'] },
);

test('nginx’s configuration has the same directives whatever a mirror says', (t) => {
  const plain = directives(configuration(accepted({ upstreamUrl: 'gcr.io', masqueradeUrl: 'm' })));
  let tried = 0;
  fc.assert(
    fc.property(spec, (given) => {
      const mirror = validated(given);
      if (!mirror) return;
      tried += 1;
      t.deepEqual(directives(configuration(mirror)), plain, JSON.stringify(given));
    }),
    { numRuns: 800 },
  );
  t.true(tried > 100, `the schema took only ${tried} of 800`);
});

test('the hosts file gets one line, for the masquerade name and nothing else', (t) => {
  let tried = 0;
  fc.assert(
    fc.property(spec, (given) => {
      const mirror = validated(given);
      if (!mirror) return;
      const masquerade = mirror.spec.masqueradeUrl ?? defaultMasquerade(mirror.spec.upstreamUrl);
      const entries = agentEntries(masquerade);
      if (!entries) return;
      tried += 1;
      const plan = planHostsFile(Buffer.from('127.0.0.1 localhost\n'), entries, {
        mirror: 'm',
        foreignLines: 'override',
        path: '/etc/hosts',
      });
      const lines = String(plan.content)
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'));
      t.deepEqual(
        lines.map((line) => line.replace(/#.*/, '').trim().split(/\s+/)),
        [
          ['10.96.7.1', masquerade.replace(/:\d+$/, '')],
          ['127.0.0.1', 'localhost'],
        ],
      );
    }),
    { numRuns: 800 },
  );
  t.true(tried > 100, `only ${tried} of 800 reached the hosts file`);
});

function validated(given: Record<string, unknown>): RegistryMirror | undefined {
  const result = validateRegistryMirror({
    apiVersion: 'k8s.osp.tech/v1',
    kind: 'RegistryMirror',
    metadata: { name: 'm' },
    spec: given,
  });
  return 'mirror' in result ? result.mirror : undefined;
}

function accepted(given: Record<string, unknown>): RegistryMirror {
  const mirror = validated(given);
  if (!mirror) throw new Error('The schema refused a plain mirror');
  return mirror;
}

function configuration(mirror: RegistryMirror): string {
  return cacheFiles(podCacheConfig({ mirror, settings: settingsOf() }, { clusterIPs }))['default.conf'];
}

/** What the agent makes of the name the DaemonSet gives it; undefined where it refuses to start. */
function agentEntries(masquerade: string): { address: string; name: string }[] | undefined {
  try {
    const { agent } = readNodeAgentEnvironment({
      MIRROR_NAME: 'm',
      MIRROR_ADDRESSES: clusterIPs.join(','),
      SHADOW_FQDN: masquerade,
    });
    const [mirror] = agent.mirrors().mirrors;
    return mirror && hostsEntries(mirror, mirror.hostsNames);
  } catch {
    return undefined;
  }
}

/**
 * Reads a configuration as nginx does and returns its directives by name and nesting. In maps, whose lines are data, each must
 * have two words; how many there are depends on the names.
 */
function directives(text: string): string[] {
  const found: string[] = [];
  const blocks: string[] = [];
  let words: string[] = [];
  for (const [token = ''] of text.matchAll(
    /#[^\n]*|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[\s\S]|[^'\\])*'|[{};]|[^\s{};"']+/g,
  )) {
    if (token.startsWith('#')) continue;
    if (!/^[{};]$/.test(token)) words.push(token);
    else {
      if (token === '{') blocks.push(words[0] ?? '');
      else if (token === '}') blocks.pop();
      if (token === ';' && blocks.at(-1) !== 'map') found.push(`${blocks.join('/')}/${words[0]}`);
      if (token === ';' && blocks.at(-1) === 'map' && words.length !== 2)
        found.push(`map line of ${words.length} words`);
      words = [];
    }
  }
  return found;
}
