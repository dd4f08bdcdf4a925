/** Collects every fault of an input and reports them together, one line each. Used by every reader of environment, flags and files. */
import { redact } from '../observe/redact.ts';

/** Bad input of a person: shown as it is, without a stack; the process ends with exit code 1. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** A list of faults: name of the variable or field, what was expected, what was found. */
export class Problems {
  readonly #lines: string[] = [];

  /** Records one fault; `got` is left out where the value is or may be a secret. */
  add(name: string, expected: string, got?: unknown): void {
    const found = got === undefined ? '' : `, got ${shown(got)}`;
    const line = `${name}: expected ${expected}${found}`;
    // Two readers may read one variable.
    if (!this.#lines.includes(line)) this.#lines.push(line);
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Throws a `ConfigError` with all faults if there are any. */
  throwIfAny(): void {
    if (this.#lines.length > 0) throw new ConfigError(this.#lines);
  }
}

function shown(value: unknown): string {
  return cut(redact(JSON.stringify(value) ?? String(value)));
}

/** The beginning of a text that may be of any length, for a message about it. */
export function cut(text: string): string {
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
