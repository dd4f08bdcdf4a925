/** Objects of deploy/ made comparable, whoever rendered them. */
import type { KubeObject } from '../kubernetes/api-request.ts';
import type { Live } from './operator-world.ts';

/** `Kind namespace/name`. */
export function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
}

/** Copies in order of their names; the order of variables says nothing. */
export function sortedObjects(objects: readonly KubeObject[]): Live[] {
  const copies = structuredClone(objects) as Live[];
  for (const { kind, spec } of copies)
    if (kind === 'Deployment') spec.template.spec.containers.forEach(sortVariables);
  return copies.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

function sortVariables({ env }: Live): void {
  env.sort((a: Live, b: Live) => (a.name < b.name ? -1 : 1));
}
