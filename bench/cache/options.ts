/** The benchmark's command line. */
import { parseArgs } from 'node:util';

export interface Options {
  /** About a minute: fewer bytes and clients, one round. */
  quick: boolean;
  rounds: number;
  /** Names of scenarios; empty: all. */
  only: string[];
  /** JSON to standard output and the table to standard error; else the table to standard output and JSON to a file. */
  json: boolean;
  /** The executable, to compare two builds; undefined: that of this checkout. */
  operator: string | undefined;
}

export const usage = `Usage: node bench/cache/main.ts [options]
  --quick          about a minute: a quarter of the bytes, 60 clients instead of 200, one round
  --rounds N       how often each scenario is measured (default 3)
  --only LIST      names of scenarios, as in the JSON
  --json           JSON to standard output, the table to standard error
  --operator FILE  the executable to measure (default bin/registry-mirror-operator)`;

/** Parses the arguments after the script's name; throws an error that names the wrong one. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      operator: { type: 'string' },
    },
  });
  const { quick, json, operator } = values;
  return {
    quick,
    rounds: rounds(values.rounds ?? (quick ? '1' : '3')),
    only: values.only.split(',').filter((name) => name !== ''),
    json,
    operator,
  };
}

function rounds(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new Error(`--rounds: expected a whole number from 1 to 99, got "${text}"`);
}
