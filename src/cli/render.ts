/** `render`: prints every object that RegistryMirrors become, without a cluster. */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { text as readAll } from 'node:stream/consumers';
import { Command } from 'commander';
import { processEnvironment } from '../config/environment.ts';
import { readOperatorSettings } from '../config/operator-environment.ts';
import { ConfigError } from '../config/problems.ts';
import { readMirrorDocuments } from './mirror-documents.ts';
import { type GivenAddresses, renderMirrors } from './render-mirrors.ts';

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
    .option(
      '--cluster-ip <address>',
      'address of the Services, or NAME=ADDRESS for one mirror; may be repeated (both IP families). Without it, what needs the address is left out',
      (value: string, before: readonly string[]) => [...before, value],
      [] as readonly string[],
    )
    .allowExcessArguments(false)
    .action(render);
}

async function render(flags: RenderFlags): Promise<void> {
  const faults: string[] = [];
  const addresses = collect(faults, () => parseAddresses(flags.clusterIp));
  const read = collect(faults, () => readOperatorSettings(processEnvironment(), { inCluster: false }));
  const documents = readMirrorDocuments(await readInput(flags.file), flags.file);
  if ('faults' in documents) faults.push(...documents.faults);
  if (faults.length > 0 || 'faults' in documents || !read || !addresses) throw new ConfigError(faults);
  const { text, notes } = renderMirrors(documents.mirrors, read.settings, addresses);
  for (const note of [...read.notices, ...notes]) process.stderr.write(`${note}\n`);
  await print(text);
}

/** Runs a reader that lists its faults, so that those of flags, environment and file are shown together. */
function collect<T>(faults: string[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    faults.push(...error.problems);
    return undefined;
  }
}

function parseAddresses(values: readonly string[]): GivenAddresses {
  const byMirror = new Map<string, string[]>();
  const others: string[] = [];
  const faults: string[] = [];
  for (const value of values) {
    const [address = '', mirror] = value.split('=').reverse();
    if (isIP(address) === 0) faults.push(`--cluster-ip: expected ADDRESS or NAME=ADDRESS, got ${value}`);
    if (mirror === undefined) others.push(address);
    else byMirror.set(mirror, [...(byMirror.get(mirror) ?? []), address]);
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return { byMirror, others };
}

async function readInput(file: string): Promise<string> {
  if (file === '-') return readAll(process.stdin);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError([`--file: expected a readable file, got ${file} (${(error as Error).message})`]);
  }
}

/** A reader that has seen enough (`| head`) is no fault. */
function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EPIPE' ? resolve() : reject(error),
    );
    process.stdout.write(text, () => resolve());
  });
}
