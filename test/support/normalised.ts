/** Objects without what differs between two runs that came out the same. */
import type { Live } from './operator-world.ts';

const volatile = new Set([
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'generation',
  'observedGeneration',
  'time',
  'lastTransitionTime',
  'deprecated.daemonset.template.generation',
]);
/** Private keys, certificates, and what is derived from addresses: whether they are there counts. */
const opaque = new Set(['tls.crt', 'tls.key', 'ca.crt', 'default.conf', 'broker.json', 'nginx.conf']);

/** Returns a copy with `name`, addresses and the port on nodes replaced. Owners of fields are kept, times are not. */
export function normalised(object: Live, name: string): Live {
  const text = JSON.stringify(object, (key, value) => {
    if (volatile.has(key)) return undefined;
    if (opaque.has(key) && typeof value === 'string') return 'set';
    if (key === 'managedFields') return [...value].sort(byManager);
    return value;
  });
  return JSON.parse(
    text
      .replaceAll(name, 'NAME')
      .replace(/\d+\.\d+\.\d+\.\d+/g, 'ADDRESS')
      .replace(/\b29\d{3}\b/g, '29000')
      .replace(/k:\{\\"uid\\":\\"[^"]*\\"\}/g, 'k:uid'),
  );
}

function byManager(one: Live, other: Live): number {
  const key = ({ manager, operation, subresource = '' }: Live) => `${manager} ${operation} ${subresource}`;
  return key(one) < key(other) ? -1 : 1;
}
