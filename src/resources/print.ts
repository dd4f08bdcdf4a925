/** Objects as YAML documents for people and for `kubectl apply`. */
import { dump } from 'js-yaml';
import type { KubernetesObject } from './object.ts';

/** An object with what is to stand above it as a comment. */
export interface PrintedObject {
  readonly object: KubernetesObject;
  readonly comment?: string;
}

/** The order in which objects are made, and in which they are printed. */
const kinds = [
  'Secret',
  'Service',
  'Certificate',
  'StatefulSet',
  'PodDisruptionBudget',
  'DaemonSet',
  'ConfigMap',
];

/** Returns one YAML document for each object, ordered by kind and name whatever order they come in. */
export function printObjects(objects: readonly PrintedObject[]): string {
  return [...objects].sort(byKindAndName).map(printObject).join('');
}

function printObject({ object, comment }: PrintedObject): string {
  const head = comment === undefined ? '' : `# ${comment}\n`;
  return `---\n${head}${dump(object, { noRefs: true, lineWidth: -1 })}`;
}

function byKindAndName(one: PrintedObject, other: PrintedObject): number {
  return (
    kinds.indexOf(one.object.kind) - kinds.indexOf(other.object.kind) ||
    compare(nameOf(one.object), nameOf(other.object))
  );
}

function nameOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** By code unit: the same on every machine, whatever its locale. */
function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
