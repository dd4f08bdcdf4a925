/** The benchmark's command line. */
import { parseArgs } from 'node:util';

export interface Options {
  readonly quick: boolean;
  readonly rounds: number;
  /** Names of scenarios; empty: all. */
  readonly only: readonly string[];
  /** Seconds after which a pull is given up and counts as that long. */
  readonly limit: number;
  /** JSON to standard output and the table to standard error; else the table to standard output and JSON to a file. */
  readonly json: boolean;
}

export const usage = `Usage: node bench/nodes/main.ts [options]
  --quick      one round, pulls are given up after 15 s
  --rounds N   how often each pull is measured (default 3)
  --only LIST  names of scenarios, as in the JSON
  --limit N    seconds after which a pull is given up (default 60)
  --json       JSON to standard output, the table to standard error`;

/** Parses the arguments after the script's name; throws an error that names the wrong one. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string', default: '' },
      limit: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const { quick, json } = values;
  return {
    quick,
    json,
    rounds: count('--rounds', values.rounds ?? (quick ? '1' : '3')),
    limit: count('--limit', values.limit ?? (quick ? '15' : '60')),
    only: values.only.split(',').filter((name) => name !== ''),
  };
}

function count(name: string, text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new Error(`${name}: expected a whole number from 1 to 9999, got "${text}"`);
}
