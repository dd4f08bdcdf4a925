/** Which type of object a request is about, and the path it has in the API. */
import type { ObjectKey } from './object.ts';

/** A type as the API server serves it; `group` is empty for the core group. */
export interface ResourceType {
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
}

/** Returns `group/version`, or `version` for the core group. */
export function apiVersionOf(type: ResourceType): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

/** Returns the type's name as RBAC and `kubectl` write it: `plural.group`, or `plural`. */
export function typeName(type: ResourceType): string {
  return type.group === '' ? type.plural : `${type.plural}.${type.group}`;
}

/**
 * Returns the path of an object (`key.name` given), or of the collection in `key.namespace`, or of the collection over
 * all namespaces. Throws on a name that is no path segment: the server would clean `..` into another object's path.
 */
export function resourcePath(type: ResourceType, key: Partial<ObjectKey> = {}, subresource?: string): string {
  const root = type.group === '' ? '/api' : `/apis/${type.group}`;
  const parts = [root, type.version];
  if (type.namespaced && key.namespace !== undefined) parts.push('namespaces', segment(key.namespace));
  parts.push(type.plural);
  if (key.name === undefined) return parts.join('/');
  if (type.namespaced && key.namespace === undefined) {
    throw new TypeError(`${type.kind} ${key.name} needs a namespace`);
  }
  parts.push(segment(key.name));
  if (subresource !== undefined) parts.push(segment(subresource));
  return parts.join('/');
}

function segment(text: string): string {
  if (text === '' || text === '.' || text === '..' || /[/%?#\s\\]/.test(text)) {
    throw new TypeError(`Expected a name that is one path segment, got ${JSON.stringify(text)}`);
  }
  return encodeURIComponent(text);
}
