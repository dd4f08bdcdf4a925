/** Faults of several inputs of a command, told together. */
import { ConfigError } from '../config/problems.ts';

/** Runs a reader and returns what it read; undefined, and its problems in `faults`, where it throws a `ConfigError`. */
export function collect<T>(faults: string[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    faults.push(...error.problems);
    return undefined;
  }
}
