/** Typed reads of a program's environment; every fault is noted, none is thrown. An empty value counts as unset. */
import type { Problems } from './problems.ts';

export class Variables {
  readonly problems: Problems;
  readonly #environment: Readonly<Record<string, string | undefined>>;

  constructor(environment: Readonly<Record<string, string | undefined>>, problems: Problems) {
    this.#environment = environment;
    this.problems = problems;
  }

  get(name: string): string | undefined {
    const value = this.#environment[name];
    return value === undefined || value === '' ? undefined : value;
  }

  /** Comma-separated; nothing twice. */
  list(name: string): string[] {
    const items = (this.get(name) ?? '').split(',').map((item) => item.trim());
    return [...new Set(items.filter((item) => item !== ''))];
  }

  /** The first choice is the default. */
  choice<T extends string>(name: string, choices: readonly [T, ...T[]]): T {
    const value = this.get(name);
    const chosen = choices.find((choice) => choice === value);
    if (value !== undefined && chosen === undefined) this.problems.add(name, choices.join(' or '), value);
    return chosen ?? choices[0];
  }

  path(name: string, fallback: string): string {
    const value = this.get(name) ?? fallback;
    const whole = value.startsWith('/') && !value.includes('\0') && !value.split('/').includes('..');
    if (!whole) this.problems.add(name, 'an absolute path without ..', value);
    return value;
  }

  port(name: string): number | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    const port = Number(value);
    if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
    this.problems.add(name, 'a port from 1 to 65535', value);
    return undefined;
  }

  seconds(name: string, fallback: number): number {
    const value = this.get(name);
    if (value === undefined) return fallback;
    const seconds = Number(value);
    if (seconds >= 1 && seconds <= 3600) return seconds;
    this.problems.add(name, 'seconds from 1 to 3600', value);
    return fallback;
  }
}
