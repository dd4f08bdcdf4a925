/** The answer of a node agent, as far as it is believed: its form is checked, its texts and lists are bounded. Pure. */
import { z } from 'zod';
import type { NodeReport } from '../../api/node-report.ts';
import { reasonWord } from '../polling/words.ts';

/** Thousands of reports are kept in memory. */
const longestMessage = 200;
const mostFindings = 32;
/** More than there are ports for by default (NODE_PORTS): a report with too many is none. */
const mostMirrors = 1024;

const name = z.string().min(1).max(253);
const message = z.string().transform((text) => text.slice(0, longestMessage));
const moment = z.iso.datetime({ offset: true });
const count = z.number().nonnegative();
const port = z.int().min(1).max(65_535);

const forwarder = z.object({
  port,
  offered: z.boolean(),
  since: moment.exactOptional(),
  reason: z.string().transform((text) => reasonWord(text, 'Unknown')),
  detail: message,
  connections: count,
  bytes: count,
  lastUsed: moment.exactOptional(),
});

const runtime = z.object({
  runtime: z.enum(['docker', 'containerd', 'crio', 'hosts']),
  found: z.boolean(),
  version: z.string().max(64).exactOptional(),
  wired: z.boolean(),
  live: z.boolean(),
  reason: z.string().transform((text) => (text === '' ? '' : reasonWord(text, 'Unknown'))),
  message,
  used: z.boolean().exactOptional(),
  restartNeeded: z.boolean().exactOptional(),
});

const finding = z.object({
  reason: z.string().transform((text) => reasonWord(text, 'Unknown')),
  path: z.string().max(4_096).exactOptional(),
  message,
  blocks: z.boolean(),
});

const mirror = z.object({
  name,
  complete: z.boolean(),
  forwarder: forwarder.nullable(),
  runtimes: z.array(runtime).max(16),
  findings: z.array(finding).transform((all) => blockingFirst(all).slice(0, mostFindings)),
});

const schema: z.ZodType<NodeReport> = z.object({
  node: z.string().max(253),
  at: moment,
  mode: z.enum(['wire', 'restore']),
  mirrors: z.array(mirror).max(mostMirrors),
  owners: z.array(name).max(mostMirrors).exactOptional(),
  list: z.int().positive().exactOptional(),
});

/** Takes the body of `GET /status`; throws `TypeError` that names the first field that is not as expected. */
export function parseNodeReport(text: string): NodeReport {
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new TypeError(`node report: ${issue?.path.join('.') || 'as a whole'}: ${issue?.message}`);
}

function blockingFirst<One extends { blocks: boolean }>(findings: readonly One[]): One[] {
  return [...findings.filter(({ blocks }) => blocks), ...findings.filter(({ blocks }) => !blocks)];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TypeError('node report: expected JSON', { cause: error });
  }
}
