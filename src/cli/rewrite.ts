/** `rewrite`: prints what the rewriting rules make of images, without a cluster. */
import { Command, Option } from 'commander';
import { ConfigError } from '../config/problems.ts';
import { meetingsOf } from '../image/rules/meetings.ts';
import { compileRules, type RuleTable, rewriteImage } from '../image/rules/table.ts';
import type { Rewrite, RewriteRequest } from '../image/settle.ts';
import { clusterIpOption } from './given-addresses.ts';
import { outputLines } from './output-lines.ts';
import { plainText } from './plain-text.ts';
import { print } from './print.ts';
import { type LineFlags, meetingLines, rewriteLines, tableFaultLines } from './rewrite-lines.ts';
import { readSources, type SourceFlags } from './rewrite-sources.ts';

interface RewriteFlags extends SourceFlags, LineFlags {
  readonly pullSecrets?: true;
}

/** Returns the command; images go to standard output, warnings to standard error. */
export function rewriteCommand(): Command {
  return new Command('rewrite')
    .description('Prints what the rewriting rules make of images: IMAGE<TAB>RESULT<TAB>rule.')
    .argument('<image...>', 'as pods name them; - reads them from standard input, one a line')
    .option('--imageswap-maps <file>', 'a map of imageswap')
    .option('--legacy-prefix <prefix>', 'IMAGE_PREFIX of imageswap in mode LEGACY')
    .option('--image-maps <file>', 'ImageMaps as YAML')
    .option('-n, --namespace <name>', 'with --image-maps: of the pod, and of maps that name none')
    .option('--mirrors <file>', 'RegistryMirrors as YAML, in services mode')
    .addOption(clusterIpOption('Without it, the addresses in the mirrors’ status'))
    .option('--gilly-registry <registry>', 'GILLY_REGISTRY')
    .option('--gilly-exclude <registries>', 'GILLY_EXCLUDE_REGISTRIES')
    .option('--gilly-keep-source', 'GILLY_KEEP_SOURCE')
    .option('--pull-secrets', 'the pod has imagePullSecrets')
    .addOption(new Option('-o, --output <format>', 'one object a line').choices(['json']))
    .option('--explain', 'list what is wrong with the rules, and why each of them applies or not')
    .action(rewrite);
}

async function rewrite(images: readonly string[], flags: RewriteFlags): Promise<void> {
  const table = compileRules(await readSources(flags));
  refuseTargets(table);
  await tellFaults(table, flags);
  const request = {
    namespace: flags.namespace,
    bypass: flags.pullSecrets ? ('pullSecrets' as const) : undefined,
  };
  const seen = new Map<string, Rewrite>();
  for await (const image of imagesOf(images)) {
    const rewritten = rewriteImage(table, image, request);
    seen.set(image, rewritten);
    if (!(await tell(rewritten, request, flags))) return;
  }
  warn(meetingLines(meetingsOf(seen.values())));
}

const flagNames = { gilly: '--gilly-registry', 'imageswap LEGACY': '--legacy-prefix' } as const;

function refuseTargets({ targetFaults }: RuleTable): void {
  if (targetFaults.length === 0) return;
  throw new ConfigError(targetFaults.map(({ source, why }) => `${flagNames[source]}: ${why}`));
}

/** All of them where they are asked for; else their number, so that nobody misses them. */
async function tellFaults(table: RuleTable, flags: RewriteFlags): Promise<void> {
  const lines = tableFaultLines(table, flags);
  if (lines.length === 0) return;
  if (!flags.explain) warn([`${lines.length} faults in the rules; --explain lists them`]);
  else if (flags.output === 'json') warn(lines);
  else await print(`${lines.join('\n')}\n`);
}

async function tell(rewritten: Rewrite, request: RewriteRequest, flags: RewriteFlags): Promise<boolean> {
  if (rewritten.warning !== undefined && !flags.explain) warn([rewritten.warning]);
  return print(`${rewriteLines(rewritten, request, flags).join('\n')}\n`);
}

function warn(lines: readonly string[]): void {
  for (const line of lines) process.stderr.write(`${plainText(line)}\n`);
}

async function* imagesOf(args: readonly string[]): AsyncGenerator<string> {
  for (const image of args) {
    if (image !== '-') yield image;
    else for await (const line of outputLines(process.stdin)) if (line.trim() !== '') yield line.trim();
  }
}
