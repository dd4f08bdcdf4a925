/** The node agent's environment: the names of mirror-hostess and our own. */
import { isIP } from 'node:net';
import { splitHostPort } from '../api/upstream.ts';
import type { ForeignLines, HostsEntry } from '../node/hosts-file.ts';
import type { AgentMode, AgentOptions } from '../node/options.ts';
import type { LogLevel } from '../observe/log.ts';
import { Problems } from './problems.ts';

export interface NodeAgentConfig {
  readonly agent: AgentOptions;
  readonly logLevel: LogLevel;
}

type Environment = Readonly<Record<string, string | undefined>>;

const hostName = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/i;
const mirrorName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** Python's names, which the original took, and pino's. */
const logLevels: Readonly<Record<string, LogLevel>> = {
  critical: 'error',
  error: 'error',
  warning: 'warn',
  warn: 'warn',
  info: 'info',
  debug: 'debug',
  trace: 'trace',
};

/** Takes the environment (empty values count as unset) and `--mode`; throws one `ConfigError` that lists every fault. */
export function readNodeAgentEnvironment(
  environment: Environment = process.env,
  mode?: string,
): NodeAgentConfig {
  const reader = new Reader(environment, mode);
  const config: NodeAgentConfig = { agent: reader.agent(), logLevel: reader.logLevel() };
  reader.problems.throwIfAny();
  return config;
}

class Reader {
  readonly problems = new Problems();
  readonly #environment: Environment;
  readonly #modeFlag: string | undefined;

  constructor(environment: Environment, modeFlag: string | undefined) {
    this.#environment = environment;
    this.#modeFlag = modeFlag;
  }

  agent(): AgentOptions {
    const mode = this.#mode();
    return {
      mode,
      mirror: this.#mirror(),
      hostRoot: this.#path('HOST_ROOT', '/host'),
      stateFolder: this.#path('STATE_DIR', '/var/lib/registry-mirror-operator'),
      hostsFile: this.#path('HOSTS_FILE', '/etc/hosts'),
      hostsBackup: this.#path('HOSTS_FILE_BACKUP', '/etc/hosts.backup'),
      lockFile: this.#path('LOCK_FILE', '/var/lock/mirror-hostess'),
      entries: mode === 'wire' ? this.#entries() : [],
      foreignLines: this.#choice<ForeignLines>('FOREIGN_HOSTS_LINES', ['override', 'respect']),
      certificateNames: this.#certificateNames(),
      caFile: this.#path('CA_FILE', '/etc/registry-mirror/trust/ca.crt'),
      readyFile: this.#path('READY_FILE', '/run/registry-mirror/ready'),
      interval: this.#seconds('SECONDS_BETWEEN_STREAMS', 30) * 1000,
    };
  }

  logLevel(): LogLevel {
    const value = this.#get('LOG_LEVEL') ?? 'info';
    const level = logLevels[value.toLowerCase()];
    if (level === undefined)
      this.problems.add('LOG_LEVEL', `one of ${Object.keys(logLevels).join(', ')}`, value);
    return level ?? 'info';
  }

  #mode(): AgentMode {
    if (this.#modeFlag === undefined) return this.#choice<AgentMode>('NODE_AGENT_MODE', ['wire', 'restore']);
    if (this.#modeFlag === 'wire' || this.#modeFlag === 'restore') return this.#modeFlag;
    this.problems.add('--mode', 'wire or restore', this.#modeFlag);
    return 'wire';
  }

  /** Falls back on what the original is told: the Service's name. */
  #mirror(): string {
    const service = this.#get('SERVICE_NAME')?.replace(/^registry-mirror-/, '');
    const value = this.#get('MIRROR_NAME') ?? service;
    if (value === undefined || !mirrorName.test(value)) {
      this.problems.add('MIRROR_NAME', 'the name of a RegistryMirror', value ?? '');
    }
    return value ?? '';
  }

  /** One line for each name and address. A port is no part of a hosts line; a name that is an address needs none. */
  #entries(): HostsEntry[] {
    if (this.#choice('WIRE_HOSTS', ['true', 'false']) === 'false') return [];
    const names = this.#names()
      .map((name) => splitHostPort(name).host)
      .filter((host) => isIP(host.replace(/^\[(.*)\]$/, '$1')) === 0);
    const addresses = this.#list('MIRROR_ADDRESSES');
    if (addresses.length === 0) this.problems.add('MIRROR_ADDRESSES', 'at least one address', '');
    for (const address of addresses.filter((each) => isIP(each) === 0)) {
      this.problems.add('MIRROR_ADDRESSES', 'IPv4 or IPv6 addresses', address);
    }
    for (const name of names.filter((each) => !hostName.test(each))) {
      this.problems.add('SHADOW_FQDN', 'host names', name);
    }
    return names.flatMap((name) => addresses.map((address) => ({ address, name })));
  }

  #names(): string[] {
    const names = this.#list('SHADOW_FQDN');
    if (names.length === 0) this.problems.add('SHADOW_FQDN', 'the masquerade name', '');
    return names;
  }

  /** Each becomes a folder below certs.d, so it may not be a path. */
  #certificateNames(): string[] {
    const listed = this.#list('CERTIFICATE_NAMES');
    const names = listed.length > 0 ? listed : this.#list('SHADOW_FQDN');
    for (const name of names.filter((each) => !isCertificateName(each))) {
      this.problems.add('CERTIFICATE_NAMES', 'names like host, host:port, 10.0.0.1 or [fd00::1]', name);
    }
    return names;
  }

  #seconds(name: string, fallback: number): number {
    const value = this.#get(name);
    if (value === undefined) return fallback;
    const seconds = Number(value);
    if (seconds >= 1 && seconds <= 3600) return seconds;
    this.problems.add(name, 'seconds from 1 to 3600', value);
    return fallback;
  }

  #path(name: string, fallback: string): string {
    const value = this.#get(name) ?? fallback;
    const whole = value.startsWith('/') && !value.includes('\0') && !value.split('/').includes('..');
    if (!whole) this.problems.add(name, 'an absolute path without ..', value);
    return value;
  }

  /** The first choice is the default. */
  #choice<T extends string>(name: string, choices: readonly [T, ...T[]]): T {
    const value = this.#get(name);
    const chosen = choices.find((choice) => choice === value);
    if (value !== undefined && chosen === undefined) this.problems.add(name, choices.join(' or '), value);
    return chosen ?? choices[0];
  }

  #list(name: string): string[] {
    const items = (this.#get(name) ?? '').split(',').map((item) => item.trim());
    return [...new Set(items.filter((item) => item !== ''))];
  }

  #get(name: string): string | undefined {
    const value = this.#environment[name];
    return value === undefined || value === '' ? undefined : value;
  }
}

function isCertificateName(name: string): boolean {
  if (isIP(name) !== 0) return true;
  const { host, port } = splitHostPort(name);
  if (port !== undefined && (port < 1 || port > 65_535)) return false;
  return hostName.test(host) || (host.startsWith('[') && host.endsWith(']') && isIP(host.slice(1, -1)) === 6);
}
