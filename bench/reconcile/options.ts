/** The benchmark's command line. */
import { parseArgs } from 'node:util';

export interface Options {
  /** How many mirrors; one run on a fresh API server for each. */
  mirrors: number[];
  idleSeconds: number;
  /** JSON to standard output and the table to standard error; else the table to standard output and JSON to a file. */
  json: boolean;
  /** The executable, to compare two builds; undefined: that of this checkout. */
  operator: string | undefined;
}

export const usage = `Usage: node bench/reconcile/main.ts [options]
  --mirrors LIST   how many mirrors, one run each (default 1,50,200)
  --idle SECONDS   how long requests of an idle operator are counted (default 60)
  --json           JSON to standard output, the table to standard error
  --operator FILE  the executable to measure (default bin/registry-mirror-operator)`;

/** Parses the arguments after the script's name; throws an error that names the wrong one. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      mirrors: { type: 'string', default: '1,50,200' },
      idle: { type: 'string', default: '60' },
      json: { type: 'boolean', default: false },
      operator: { type: 'string' },
    },
  });
  return {
    mirrors: values.mirrors.split(',').map((text) => whole('--mirrors', text, 1, 10_000)),
    idleSeconds: whole('--idle', values.idle, 1, 3600),
    json: values.json,
    operator: values.operator,
  };
}

function whole(option: string, text: string, lowest: number, highest: number): number {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (value >= lowest && value <= highest) return value;
  throw new Error(`${option}: expected a whole number from ${lowest} to ${highest}, got "${text}"`);
}
