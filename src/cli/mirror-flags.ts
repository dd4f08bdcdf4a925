/** Flags that `purge` and `warm` share, and what they mean: replicas in a cluster, or the cache of this pod or machine. */
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { type BrokerConfig, type BrokerMirror, parseBrokerConfig } from '../cache/broker/broker-config.ts';
import { readRegularFile } from '../cache/read-regular-file.ts';
import { ConfigError, cut } from '../config/problems.ts';
import { errorMessage } from '../observe/error-message.ts';

export interface MirrorFlags {
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly standalone?: string;
  readonly local?: true;
  readonly config: string;
  readonly json?: true;
  readonly untilStdinEnds?: true;
}

const podConfig = '/etc/registry-mirror/config/broker.json';

/** Adds the flags to a command. */
export function withMirrorFlags(command: Command): Command {
  return command
    .option('-n, --namespace <name>', 'of the cache pods (default: NAMESPACE, else default)', parseNamespace)
    .option('--context <name>', 'of the kubeconfig')
    .option('--kubeconfig <file>', 'instead of KUBECONFIG')
    .option('--standalone <dir>', 'the cache of the `standalone` that has this data folder')
    .option('--local', 'the cache of this pod; used inside cache pods')
    .option('--config <file>', 'with --local: the broker’s file', podConfig)
    .option('--json', 'one JSON object a line')
    .option('--until-stdin-ends', 'end when standard input does; used inside cache pods')
    .allowExcessArguments(false);
}

/** The cache on this machine that the flags name; undefined for the replicas of a cluster. */
export interface LocalPlace {
  readonly config: BrokerConfig;
  readonly mirror: BrokerMirror;
}

/** Reads the broker's file for `--local` and `--standalone`; throws `ConfigError` when it cannot be read or has no such mirror. */
export async function localPlace(flags: MirrorFlags, mirrorName: string): Promise<LocalPlace | undefined> {
  if (flags.local && flags.standalone !== undefined) {
    throw new ConfigError(['--local, --standalone: expected one of them']);
  }
  if (flags.standalone === '') {
    throw new ConfigError(['--standalone: expected the data folder of a standalone, got an empty path']);
  }
  const file = flags.standalone === undefined ? flags.config : join(flags.standalone, 'conf', 'broker.json');
  if (!flags.local && flags.standalone === undefined) return undefined;
  const config = await readConfig(file);
  const mirror = config.mirrors.find(({ name }) => name === mirrorName);
  if (mirror === undefined)
    throw noSuchMirror(
      mirrorName,
      config.mirrors.map(({ name }) => name),
    );
  return { config, mirror };
}

/** A `ConfigError` that names what there is instead. */
export function noSuchMirror(name: string, others: readonly string[]): ConfigError {
  const there = others.length === 0 ? 'there is none' : `there are: ${others.toSorted().join(', ')}`;
  return new ConfigError([`There is no RegistryMirror ${cut(name)}; ${there}`]);
}

/** Aborts on SIGINT, SIGTERM and SIGHUP and, if asked for, at the end of standard input: whoever started us in a pod is gone then. */
export function endOfCommand({ untilStdinEnds }: Pick<MirrorFlags, 'untilStdinEnds'>): AbortSignal {
  const stop = new AbortController();
  const end = (why: string) => () => stop.abort(new Error(why));
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(name, end('interrupted'));
  // Nobody reads any more.
  process.stdout.on('error', end('standard output was closed'));
  if (untilStdinEnds) {
    process.stdin.on('end', end('standard input ended')).on('error', end('standard input ended'));
    process.stdin.resume();
    // It stays open until we are done.
    process.stdin.unref?.();
  }
  return stop.signal;
}

async function readConfig(file: string): Promise<BrokerConfig> {
  try {
    return parseBrokerConfig((await readRegularFile(file)).toString());
  } catch (error) {
    throw new ConfigError([`expected the configuration of a cache in ${file}: ${errorMessage(error)}`]);
  }
}

function parseNamespace(value: string): string {
  if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value)) return value;
  throw new InvalidArgumentError('expected the name of a namespace.');
}
