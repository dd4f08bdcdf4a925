/** `render`: prints every object that RegistryMirrors become, without a cluster. */
import { text as readAll } from 'node:stream/consumers';
import { Command } from 'commander';
import { processEnvironment } from '../config/environment.ts';
import { readOperatorSettings } from '../config/operator-environment.ts';
import { ConfigError } from '../config/problems.ts';
import { collect } from './collect.ts';
import { assertNamesKnown, clusterIpOption, parseAddresses } from './given-addresses.ts';
import { readMirrorDocuments } from './mirror-documents.ts';
import { print } from './print.ts';
import { readTextFile } from './read-text-file.ts';
import { renderMirrors } from './render-mirrors.ts';

interface RenderFlags {
  readonly file: string;
  readonly clusterIp: readonly string[];
}

/** Returns the command; objects go to standard output, what a person should know of them to standard error. */
export function renderCommand(): Command {
  return new Command('render')
    .description(
      'Prints every object that the RegistryMirrors of a YAML file become, for the operator’s environment variables.',
    )
    .requiredOption('-f, --file <file>', 'a YAML file; - reads standard input')
    .addOption(clusterIpOption('Without it, what needs the address is left out'))
    .allowExcessArguments(false)
    .action(render);
}

async function render(flags: RenderFlags): Promise<void> {
  const faults: string[] = [];
  const addresses = collect(faults, () => parseAddresses(flags.clusterIp));
  const read = collect(faults, () => readOperatorSettings(processEnvironment(), { inCluster: false }));
  const text = flags.file === '-' ? await readAll(process.stdin) : await readTextFile(flags.file, '--file');
  const documents = readMirrorDocuments(text, flags.file);
  if ('faults' in documents) faults.push(...documents.faults);
  if (faults.length > 0 || 'faults' in documents || !read || !addresses) throw new ConfigError(faults);
  assertNamesKnown(addresses, documents.mirrors);
  const rendered = renderMirrors(documents.mirrors, read.settings, addresses);
  for (const note of [...read.notices, ...rendered.notes]) process.stderr.write(`${note}\n`);
  await print(rendered.text);
}
