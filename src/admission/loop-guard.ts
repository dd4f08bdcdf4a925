/** Pods of controllers that compare images with what they wrote would be made again and again: they are left alone. */
import { type JsonObject, listOf, objectOf, textOf } from './json-value.ts';

/** Takes an object's metadata and kinds as `Kind.group` (core: `Kind`); returns the kind of its controller if it is one of them. */
export function guardedController(
  metadata: JsonObject | undefined,
  skipOwners: readonly string[],
): string | undefined {
  const owner = controllerOf(metadata);
  return owner !== undefined && skipOwners.includes(owner) ? owner : undefined;
}

/** Takes an object's metadata; returns the kind of its controller as `Kind.group` (core: `Kind`), if it has one. */
export function controllerOf(metadata: JsonObject | undefined): string | undefined {
  const controller = listOf(metadata?.['ownerReferences'])
    .map(objectOf)
    .find((owner) => owner?.['controller'] === true);
  if (controller === undefined) return undefined;
  const apiVersion = textOf(controller['apiVersion']);
  const slash = apiVersion.indexOf('/');
  const kind = textOf(controller['kind']);
  return slash < 0 ? kind : `${kind}.${apiVersion.slice(0, slash)}`;
}
