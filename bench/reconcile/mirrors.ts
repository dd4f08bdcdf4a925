/** The mirrors the benchmark makes and the objects each must become. Pure. */

import { apiVersion, kind } from '../../src/api/kind.ts';
import { objectNames } from '../../src/api/names.ts';

/** Where the operator makes its objects. */
export const namespace = 'default';

/** Path of the collection the mirrors are made in. */
export const mirrorsPath = `/apis/${apiVersion}/registrymirrors`;

/** Paths of the collections that hold the objects of mirrors, by resource. */
export const collections = {
  services: `/api/v1/namespaces/${namespace}/services`,
  secrets: `/api/v1/namespaces/${namespace}/secrets`,
  statefulsets: `/apis/apps/v1/namespaces/${namespace}/statefulsets`,
  poddisruptionbudgets: `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`,
  daemonsets: `/apis/apps/v1/namespaces/${namespace}/daemonsets`,
} as const;

export type Resource = keyof typeof collections;

/** Names of `count` mirrors; none is the start of another, so that a mirror is found in any name made from its own. */
export function mirrorNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `bench-${String(index).padStart(5, '0')}`);
}

/** Returns the name of the mirror that `text` (an object's name, a URL) was made from. */
export function mirrorIn(text: string): string | undefined {
  return /bench-\d{5}/.exec(text)?.[0];
}

/** A mirror of an upstream of its own, because two with one masqueradeUrl would be in each other's way. */
export function mirror(name: string) {
  return { apiVersion, kind, metadata: { name }, spec: { upstreamUrl: `${name}.example.test` } };
}

/** What must exist for the mirrors, as `resource/name`, `registrymirrors/NAME/status` included (hostess mode). */
export function expectedObjects(mirrors: readonly string[]): string[] {
  return mirrors.flatMap((name) => {
    const names = objectNames(name);
    return [
      `services/${names.service}`,
      `services/${names.headlessService}`,
      `secrets/${names.configSecret}`,
      `secrets/${names.leafSecret}`,
      `statefulsets/${names.statefulSet}`,
      `poddisruptionbudgets/${names.disruptionBudget}`,
      `daemonsets/${names.daemonSet}`,
      `registrymirrors/${name}/status`,
    ];
  });
}
