/** The benchmark's command line. */
import { parseArgs } from 'node:util';

/** What can be measured, in this order. */
export const parts = ['alone', 'cluster'] as const;
export type Part = (typeof parts)[number];

export interface Options {
  readonly parts: readonly Part[];
  /** How often each contender is measured; they take turns. */
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  /** JSON to standard output and the table to standard error; else the table to standard output and JSON to a file. */
  readonly json: boolean;
}

export const usage = `Usage: node bench/admission/main.ts [options]
  --only LIST    which parts: ${parts.join(', ')} (default both)
  --rounds N     how often each contender is measured (default 5)
  --seconds N    how long each time (default 5)
  --quick        2 rounds of 2 s
  --json         JSON to standard output, the table to standard error`;

/** Parses the arguments after the script's name; throws an error that names the wrong one. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', default: parts.join(',') },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const usual = values.quick ? '2' : '5';
  return {
    parts: values.only.split(',').map(partOf),
    rounds: count('--rounds', values.rounds ?? usual),
    seconds: count('--seconds', values.seconds ?? usual),
    json: values.json,
  };
}

function partOf(name: string): Part {
  const part = parts.find((each) => each === name);
  if (part === undefined) throw new Error(`--only: expected some of ${parts.join(', ')}, got "${name}"`);
  return part;
}

function count(name: string, text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new Error(`${name}: expected a whole number from 1 to 9999, got "${text}"`);
}
