/** The only place that may see `process.env`; small readers shared by the environments of all commands. */
import type { Problems } from './problems.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** This process's environment. */
export function processEnvironment(): Environment {
  return process.env;
}

/** The trimmed value of a variable; undefined when unset or empty. */
export function text(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}

/** One of `values`, `fallback` when unset; anything else is a fault. */
export function oneOf<const T extends string>(
  env: Environment,
  name: string,
  values: readonly T[],
  fallback: T,
  problems: Problems,
): T {
  const value = text(env, name) ?? fallback;
  const found = values.find((candidate) => candidate === value);
  if (found === undefined) problems.add(name, `one of ${values.join(', ')}`, value);
  return found ?? fallback;
}

/** The name of a namespace; undefined when unset. */
export function namespaceOf(env: Environment, name: string, problems: Problems): string | undefined {
  return matching(env, name, /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'a namespace name', problems);
}

/** A value of a given form; undefined when unset, a fault when it has another form. */
export function matching(
  env: Environment,
  name: string,
  pattern: RegExp,
  expected: string,
  problems: Problems,
): string | undefined {
  const value = text(env, name);
  if (value !== undefined && (!pattern.test(value) || value.length > 253))
    problems.add(name, expected, value);
  return value;
}

/** `SECONDS_BETWEEN_STREAMS`: upper bound of the pause before a lost list or watch is tried again; 30 when unset. */
export function readSecondsBetweenStreams(env: Environment, problems: Problems): number {
  const value = Number(text(env, 'SECONDS_BETWEEN_STREAMS') ?? '30');
  if (!(value > 0 && value <= 86_400)) {
    problems.add('SECONDS_BETWEEN_STREAMS', 'a number of seconds above 0', env['SECONDS_BETWEEN_STREAMS']);
  }
  return value;
}

/** `HTTP_PORT`: of health and metrics; 8080 when unset, 0 for none. */
export function readHttpPort(env: Environment, problems: Problems): number {
  const value = Number(text(env, 'HTTP_PORT') ?? '8080');
  if (!Number.isInteger(value) || value < 0 || value > 65_535) {
    problems.add('HTTP_PORT', 'a port from 1 to 65535, or 0 for none', env['HTTP_PORT']);
  }
  return value;
}
