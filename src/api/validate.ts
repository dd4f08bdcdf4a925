/** Validates objects as the API server does with our CRD, with its messages, where there is no API server. Pure. */
import type * as z from 'zod';
import { canonicalMirror } from './canonical.ts';
import { isRecord } from './is-record.ts';
import { apiVersion, kind } from './kind.ts';
import { type RegistryMirror, registryMirrorSchema } from './registry-mirror.ts';
import type { RuleSubject } from './rule.ts';
import { rules } from './rules.ts';
import { fieldOf, type Shape, shapeOf } from './schema-shape.ts';
import { shownValue } from './shown-value.ts';
import { subdomain } from './subdomain.ts';

/** One fault: the field's path (`spec.upstreamUrl`, `spec.tolerations[0].effect`) and the API server's words for it. */
export interface Fault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export type Validated = { readonly mirror: RegistryMirror } | { readonly faults: readonly Fault[] };

const nameShape = new RegExp(`^${subdomain}$`);

/**
 * Takes a parsed YAML or JSON object and returns the mirror with defaults, or every fault; unknown fields are faults, as with kubectl.
 * The API server asks no rule of an object that breaks the schema; we ask those whose fields are sound, to name all faults at once.
 */
export function validateRegistryMirror(written: unknown): Validated {
  const object = canonicalMirror(written);
  const faults = [...headFaults(object)];
  const parsed = registryMirrorSchema.safeParse(object, { reportInput: true });
  if (!parsed.success) faults.push(...onePerField(parsed.error.issues).map(schemaFault));
  faults.push(...unknownFields(object));
  faults.push(...brokenRules(object, faults));
  if (faults.length > 0 || !parsed.success) return { faults };
  return { mirror: { ...(object as RegistryMirror), ...parsed.data } as RegistryMirror };
}

/** Whether no fault lies at `path`, around it or inside it. */
export function isSound(path: Fault['path'], faults: readonly Fault[]): boolean {
  return faults.every((fault) => path.some((step, at) => at < fault.path.length && step !== fault.path[at]));
}

/** `spec.tolerations[0].effect` from its steps. */
export function fieldPath(path: readonly (string | number)[]): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '');
}

function headFaults(object: unknown): Fault[] {
  if (!isRecord(object)) return [{ path: [], message: 'expected an object' }];
  const faults: Fault[] = [];
  if (object['apiVersion'] !== apiVersion)
    faults.push(expected(['apiVersion'], apiVersion, object['apiVersion']));
  if (object['kind'] !== kind) faults.push(expected(['kind'], kind, object['kind']));
  const name = isRecord(object['metadata']) ? object['metadata']['name'] : undefined;
  if (typeof name !== 'string') faults.push({ path: ['metadata', 'name'], message: 'Required value' });
  else if (!nameShape.test(name))
    faults.push(invalid(['metadata', 'name'], name, 'a lowercase RFC 1123 subdomain is expected'));
  return faults;
}

function expected(path: string[], value: string, got: unknown): Fault {
  return invalid(path, got, `expected ${value}`);
}

function brokenRules(object: unknown, faults: readonly Fault[]): Fault[] {
  const broken = rules.filter(
    ({ reads, holds }) => reads.every((path) => isSound(path, faults)) && !holds(object as RuleSubject),
  );
  return broken.map(({ path, message }) => ({ path, message: `Invalid value: ${message}` }));
}

function invalid(path: readonly (string | number)[], got: unknown, why: string): Fault {
  return { path, message: `Invalid value: ${shownValue(got)}: ${why}` };
}

/** Like the API server: of a field that is too long and of the wrong form only the first is said. */
function onePerField(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  return [...new Map([...issues].reverse().map((issue) => [issue.path.join('/'), issue])).values()].reverse();
}

/** zod's names of types where they differ from OpenAPI's; all our numbers are whole. */
const openApiTypes: Record<string, string> = { int: 'integer', number: 'integer', record: 'object' };

/** Puts a zod issue into the words of the API server's structural validation. */
function schemaFault(issue: z.core.$ZodIssue): Fault {
  const path = issue.path as (string | number)[];
  const field = fieldPath(path);
  const got = issue.input;
  if (got === undefined) return { path, message: 'Required value' };
  if (issue.code === 'invalid_type') {
    const type = JSON.stringify(typeName(got));
    const wanted = openApiTypes[issue.expected] ?? issue.expected;
    return invalid(path, typeName(got), `${field} in body must be of type ${wanted}: ${type}`);
  }
  if (issue.code === 'invalid_value') {
    return {
      path,
      message: `Unsupported value: ${shownValue(got)}: supported values: ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`,
    };
  }
  if (issue.code === 'invalid_format' && 'pattern' in issue)
    return invalid(path, got, `${field} in body should match '${patternText(issue.pattern)}'`);
  if (issue.code === 'too_big' && issue.origin === 'string')
    return { path, message: `Too long: may not be more than ${issue.maximum} bytes` };
  if (issue.code === 'too_big' && issue.origin === 'array')
    return {
      path,
      message: `Too many: ${(got as unknown[]).length}: must have at most ${issue.maximum} items`,
    };
  if (issue.code === 'too_big')
    return invalid(path, got, `${field} in body should be less than or equal to ${issue.maximum}`);
  if (issue.code === 'too_small' && issue.origin === 'string')
    return invalid(path, got, `${field} in body should be at least ${issue.minimum} chars long`);
  if (issue.code === 'too_small' && issue.origin === 'array')
    return invalid(
      path,
      (got as unknown[]).length,
      `${field} in body should have at least ${issue.minimum} items`,
    );
  if (issue.code === 'too_small')
    return invalid(path, got, `${field} in body should be greater than or equal to ${issue.minimum}`);
  return invalid(path, got, `${field} in body must be a quantity such as 500m, 2 or 20Gi`);
}

/** zod keeps the pattern as `/…/` text; the API server prints it as it stands in the CRD. */
function patternText(pattern: string | undefined): string {
  return (pattern ?? '').replace(/^\/|\/[a-z]*$/g, '').replaceAll('\\/', '/');
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function unknownFields(object: unknown): Fault[] {
  if (!isRecord(object)) return [];
  const known = new Set(['apiVersion', 'kind', 'metadata', 'spec', 'status']);
  const top = Object.keys(object).filter((key) => !known.has(key));
  const spec = shapeOf(registryMirrorSchema.shape.spec);
  return [...top.map((key) => unknownField([key])), ...unknownBelow(object['spec'], spec, ['spec'])];
}

function unknownField(path: (string | number)[]): Fault {
  return { path, message: `strict decoding error: unknown field "${fieldPath(path)}"` };
}

function unknownBelow(value: unknown, shape: Shape, path: (string | number)[]): Fault[] {
  const { element } = shape;
  if (element && Array.isArray(value))
    return value.flatMap((item, at) => unknownBelow(item, shapeOf(element), [...path, at]));
  if (!shape.shape || !isRecord(value) || shape.catchall !== undefined) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const field = fieldOf(shape, key);
    return field ? unknownBelow(inner, shapeOf(field), [...path, key]) : [unknownField([...path, key])];
  });
}
