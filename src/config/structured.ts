/** Labels and tolerations from the environment, in any of the syntaxes of `literal.ts`: those that Kubernetes takes, since what it refuses stops every mirror. */
import { isRecord } from '../api/is-record.ts';
import { inApiSpelling } from '../api/python-spelling.ts';
import type { Toleration } from '../api/registry-mirror.ts';
import { qualifiedName } from '../api/subdomain.ts';
import { type Environment, text } from './environment.ts';
import { parseLiteral } from './literal.ts';
import type { Problems } from './problems.ts';

const labelKey = new RegExp(`^${qualifiedName}$`);
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const longestPrefix = 253;

/** Labels as `{'key': 'value'}`; none when unset. */
export function readLabels(env: Environment, name: string, problems: Problems): Record<string, string> {
  const value = readLiteral(env, name, problems);
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) {
    problems.add(name, "labels as {'key': 'value'}", value);
    return {};
  }
  const wrong = Object.entries(value).filter(([key, inner]) => !isLabelKey(key) || !isLabelValue(inner));
  for (const [key, inner] of wrong) {
    problems.add(name, "labels as {'key': 'value'} that Kubernetes takes", { [key]: inner });
  }
  return value as Record<string, string>;
}

/** A list of tolerations; the Python client's snake_case keys and explicit nulls are understood. */
export function readTolerations(env: Environment, name: string, problems: Problems): Toleration[] {
  const value = readLiteral(env, name, problems);
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    problems.add(name, tolerationList, value);
    return [];
  }
  const list = value.map(withoutEmpty);
  for (const [at, toleration] of list.entries()) {
    const check = tolerationChecks.find(({ fits }) => !fits(toleration));
    if (check !== undefined) problems.add(name, check.expected, value[at]);
  }
  return list as Toleration[];
}

const tolerationList =
  "a list of tolerations as [{'key': 'k', 'operator': 'Exists', 'effect': 'NoSchedule'}]";

const tolerationFields: ReadonlyMap<string, (value: unknown) => boolean> = new Map([
  ['key', (value) => typeof value === 'string'],
  ['operator', (value) => value === 'Exists' || value === 'Equal'],
  ['value', (value) => typeof value === 'string'],
  ['effect', (value) => value === 'NoSchedule' || value === 'PreferNoSchedule' || value === 'NoExecute'],
  ['tolerationSeconds', (value) => Number.isSafeInteger(value)],
]);

/** What the API server asks of a toleration, in its order; the first that does not hold is told. */
const tolerationChecks: readonly {
  readonly expected: string;
  readonly fits: (toleration: Toleration) => boolean;
}[] = [
  {
    expected: tolerationList,
    fits: (toleration) =>
      isRecord(toleration) &&
      Object.entries(toleration).every(([field, value]) => tolerationFields.get(field)?.(value) ?? false),
  },
  {
    expected: 'a key of a taint, as [prefix/]name',
    fits: ({ key }) => key === undefined || isLabelKey(key),
  },
  {
    expected: 'operator Exists in a toleration without a key',
    fits: ({ key, operator }) => key !== undefined || operator === 'Exists',
  },
  {
    expected: 'effect NoExecute in a toleration with tolerationSeconds',
    fits: ({ tolerationSeconds, effect }) => tolerationSeconds === undefined || effect === 'NoExecute',
  },
  {
    expected: 'no value in a toleration with operator Exists',
    fits: ({ operator, value }) => operator !== 'Exists' || value === undefined,
  },
  {
    expected: 'the value of a taint, which is that of a label',
    fits: ({ value = '' }) => isLabelValue(value),
  },
];

/** An empty text means the same as a field that is not there. */
function withoutEmpty(item: unknown): Toleration {
  if (!isRecord(item)) return item as Toleration;
  return Object.fromEntries(Object.entries(inApiSpelling(item)).filter(([, value]) => value !== ''));
}

function isLabelKey(key: string): boolean {
  return key.indexOf('/') <= longestPrefix && labelKey.test(key);
}

function isLabelValue(value: unknown): boolean {
  return typeof value === 'string' && labelValue.test(value);
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
