/** Labels and tolerations from the environment, in any of the syntaxes of `literal.ts`. */
import type { Toleration } from '../api/registry-mirror.ts';
import { type Environment, text } from './environment.ts';
import { parseLiteral } from './literal.ts';
import type { Problems } from './problems.ts';

const labelKey = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** Labels as `{'key': 'value'}`; none when unset. */
export function readLabels(env: Environment, name: string, problems: Problems): Record<string, string> {
  const value = readLiteral(env, name, problems);
  if (value === undefined || value === null) return {};
  const fits =
    typeof value === 'object' &&
    !Array.isArray(value) &&
    Object.entries(value).every(
      ([key, inner]) => labelKey.test(key) && typeof inner === 'string' && labelValue.test(inner),
    );
  if (fits) return value as Record<string, string>;
  problems.add(name, "labels as {'key': 'value'}", value);
  return {};
}

const tolerationFields: Record<string, (value: unknown) => boolean> = {
  key: (value) => typeof value === 'string',
  operator: (value) => value === 'Exists' || value === 'Equal',
  value: (value) => typeof value === 'string',
  effect: (value) => value === 'NoSchedule' || value === 'PreferNoSchedule' || value === 'NoExecute',
  tolerationSeconds: (value) => Number.isInteger(value),
};

/** A list of tolerations; the Python client's snake_case keys and explicit nulls are understood. */
export function readTolerations(env: Environment, name: string, problems: Problems): Toleration[] {
  const value = readLiteral(env, name, problems);
  if (value === undefined || value === null) return [];
  const list = Array.isArray(value) ? value.map(inCamelCase) : [value];
  const fits = list.every(
    (item) =>
      typeof item === 'object' &&
      Object.entries(item ?? {}).every(([key, inner]) => tolerationFields[key]?.(inner) ?? false),
  );
  if (Array.isArray(value) && fits) return list as Toleration[];
  problems.add(
    name,
    "a list of tolerations as [{'key': 'k', 'operator': 'Exists', 'effect': 'NoSchedule'}]",
    value,
  );
  return [];
}

function inCamelCase(item: unknown): unknown {
  if (item === null || typeof item !== 'object' || Array.isArray(item)) return [];
  return Object.fromEntries(
    Object.entries(item)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()), value]),
  );
}

function readLiteral(env: Environment, name: string, problems: Problems): unknown {
  const value = text(env, name);
  if (value === undefined) return undefined;
  try {
    return parseLiteral(value);
  } catch {
    problems.add(name, 'JSON, YAML flow style or a Python literal', value);
    return undefined;
  }
}
