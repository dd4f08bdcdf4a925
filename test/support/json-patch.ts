/** RFC 6902, as strict as the API server's: a path that does not lead anywhere is an error. `add`, `replace` and `remove` only. */

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value?: unknown;
}

type Container = Record<string, unknown> | unknown[];

/** Returns a patched copy. */
export function applyPatch<T>(document: T, patch: readonly Operation[]): T {
  const copy = structuredClone(document);
  for (const operation of patch) applyOperation(copy, operation);
  return copy;
}

function applyOperation(document: unknown, { op, path, value }: Operation): void {
  const steps = path
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = steps.pop();
  if (last === undefined || !path.startsWith('/'))
    throw new Error(`Expected a path below the document, got ${path}`);
  const parent = steps.reduce<unknown>((at, step) => containerOf(at, path)[step as never], document);
  const container = containerOf(parent, path);
  const isThere = Object.hasOwn(container, last);
  if (op !== 'add' && !isThere) throw new Error(`${op}: there is nothing at ${path}`);
  if (op === 'remove') delete container[last as never];
  else if (op === 'add' || op === 'replace') container[last as never] = structuredClone(value) as never;
  else throw new Error(`Unknown operation ${op}`);
}

function containerOf(value: unknown, path: string): Container {
  if (typeof value !== 'object' || value === null) throw new Error(`${path} leads nowhere`);
  return value as Container;
}
