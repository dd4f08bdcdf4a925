/** `standalone`: composition root of the cache on one machine. */
import { isIP } from 'node:net';
import { Command, InvalidArgumentError } from 'commander';
import type { ListenAddress } from '../cache/cache-config.ts';
import { readEgressProxy } from '../config/egress-proxy.ts';
import { processEnvironment } from '../config/environment.ts';
import { ConfigError, Problems } from '../config/problems.ts';
import { createLogger } from '../observe/log.ts';
import { credentialNames, parseCredentials } from '../registry/credentials.ts';
import type { StandaloneOptions } from '../standalone/configuration.ts';
import type { CheckCredentials } from '../standalone/mirrors-file.ts';
import { runStandalone } from '../standalone/standalone.ts';

/** Returns the command; it runs until SIGTERM or SIGINT. */
export function standaloneCommand(): Command {
  return new Command('standalone')
    .description('Runs nginx and broker for the RegistryMirrors of one YAML file on this machine.')
    .requiredOption('-f, --file <file>', 'YAML file with RegistryMirrors and the Secrets they name; followed')
    .requiredOption('--data <dir>', 'folder for cache, certificates and logs')
    .option('--listen <address>', 'address to listen on', parseAddress, '127.0.0.1')
    .option('--port <port>', 'port to listen on; 0 picks one', parsePort, 5000)
    .option('--upstream-ca <file>', 'PEM bundle trusted towards upstreams beside the system’s')
    .option('--metrics <address:port>', 'where to answer /metrics and /status over plain HTTP', parseEndpoint)
    .option('--tls-cert <file>', 'certificate to serve instead of one of our own authority')
    .option('--tls-key <file>', 'its key')
    .action(run);
}

async function run(options: StandaloneOptions): Promise<void> {
  if ((options.tlsCert === undefined) !== (options.tlsKey === undefined)) {
    throw new ConfigError(['--tls-cert, --tls-key: expected both or none']);
  }
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => stop.abort());
  const mainFile = process.argv[1];
  if (mainFile === undefined) throw new Error('The program does not know its own path');
  // Whoever read the first lines may be gone (`| head -1`): the cache serves on.
  process.stdout.on('error', () => {});
  const print = (line: string) => process.stdout.write(`${line}\n`);
  const proxy = readProxy();
  await runStandalone(
    { ...options, ...proxy },
    { log: createLogger(), print, checkCredentials, mainFile },
    stop.signal,
  );
}

function readProxy() {
  const problems = new Problems();
  const proxy = readEgressProxy(processEnvironment(), problems);
  problems.throwIfAny();
  return proxy;
}

/** As the broker reads them later. */
const checkCredentials: CheckCredentials = (files, upstream, prefix) =>
  void parseCredentials(files, credentialNames(upstream, prefix));

function parseAddress(value: string): string {
  if (isIP(value) === 0) throw new InvalidArgumentError('expected an IP address.');
  return value;
}

/** `127.0.0.1:9090`, `[::]:9090`. */
function parseEndpoint(value: string): ListenAddress {
  const [, address = '', port = ''] = /^(.+):(\d+)$/.exec(value) ?? [];
  const bare = address.replace(/^\[(.*)\]$/, '$1');
  if ((isIP(bare) === 6) !== address.startsWith('['))
    throw new InvalidArgumentError('expected ADDRESS:PORT.');
  const listen = { address: parseAddress(bare), port: parsePort(port) };
  if (listen.port === 0) throw new InvalidArgumentError('expected a port.');
  return listen;
}

function parsePort(value: string): number {
  const port = Number(value);
  if (!/^[0-9]{1,5}$/.test(value) || port > 65535) throw new InvalidArgumentError('expected 0 to 65535.');
  return port;
}
