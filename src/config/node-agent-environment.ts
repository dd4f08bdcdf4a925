/** The node agent's environment: the names of mirror-hostess and our own. */
import * as files from 'node:fs';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import { KeptList } from '../node/kept-list.ts';
import type { AgentMode, AgentOptions, StatusServerOptions } from '../node/options.ts';
import type { LogLevel } from '../observe/log.ts';
import type { Environment } from './environment.ts';
import { readLogLevel } from './log-level.ts';
import { parseMirrorsFile } from './mirrors-file.ts';
import { readClient, readMirror } from './node-mirror-environment.ts';
import { Problems } from './problems.ts';
import { Variables } from './variables.ts';

export interface NodeAgentConfig {
  readonly agent: AgentOptions;
  /** The mirror of an agent that is about one. */
  readonly mirror?: string;
  readonly logLevel: LogLevel;
}

/** Takes the environment (empty values count as unset) and `--mode`; throws one `ConfigError` that lists every fault. */
export function readNodeAgentEnvironment(
  environment: Environment = process.env,
  modeFlag?: string,
): NodeAgentConfig {
  const problems = new Problems();
  const variables = new Variables(environment, problems);
  const mode = readMode(variables, modeFlag);
  const logLevel = readLogLevel(environment, problems);
  const own = {
    mode,
    node: variables.get('NODE_NAME') ?? '',
    hostRoot: variables.path('HOST_ROOT', '/host'),
    stateFolder: variables.path('STATE_DIR', '/var/lib/registry-mirror-operator'),
    hostsFile: variables.path('HOSTS_FILE', '/etc/hosts'),
    hostsBackup: variables.path('HOSTS_FILE_BACKUP', '/etc/hosts.backup'),
    lockFile: variables.path('LOCK_FILE', '/var/lock/mirror-hostess'),
    readyFile: variables.path('READY_FILE', '/run/registry-mirror/ready'),
    interval: variables.seconds('SECONDS_BETWEEN_STREAMS', 30) * 1000,
    forwarderFolder: variables.path('FORWARDER_DIR', '/run/registry-mirror/forwarder'),
    statusSocket: variables.path('STATUS_SOCKET', '/run/registry-mirror/status.sock'),
  };
  const { mirror, ...list } = readList(variables, mode, join(dirname(own.readyFile), 'list'));
  const statusServer = readStatusServer(variables);
  const agent: AgentOptions = { ...own, ...list, ...(statusServer && { statusServer }) };
  problems.throwIfAny();
  return { agent, logLevel, ...(mirror !== undefined && { mirror }) };
}

/** One mirror from the environment, or those that a file lists, or the operator brings for `broughtFolder`. */
function readList(
  variables: Variables,
  mode: AgentMode,
  broughtFolder: string,
): Pick<AgentOptions, 'mirrors' | 'takeList' | 'watched'> & { mirror?: string } {
  const file = variables.get('MIRRORS_FILE');
  if (file === undefined) {
    const mirror = readMirror(variables, mode === 'wire');
    const list = { mirrors: [mirror], whole: false };
    return { mirrors: () => list, watched: [mirror.caFile], mirror: mirror.name };
  }
  const mounted = variables.path('MIRRORS_FILE', file);
  const client = readClient(variables);
  const parse = (text: string, path: string) => parseMirrorsFile(text, path, client);
  const list = new KeptList({ mounted, broughtFolder, parse }, files);
  return { mirrors: () => list.read(), takeList: (body) => list.take(body), watched: [mounted] };
}

/** None where no address is named. */
function readStatusServer(variables: Variables): StatusServerOptions | undefined {
  const addresses = variables.list('STATUS_ADDRESSES');
  const port = variables.port('STATUS_PORT') ?? variables.port('NODE_PORT');
  for (const address of addresses.filter((each) => isIP(each) === 0)) {
    variables.problems.add('STATUS_ADDRESSES', 'IPv4 or IPv6 addresses', address);
  }
  if (addresses.length === 0) return undefined;
  if (port === undefined) {
    variables.problems.add('STATUS_PORT', 'a port', '');
    return undefined;
  }
  const authoritiesFile = variables.path('AUTHORITIES_FILE', '/etc/registry-mirror/trust/peer-ca.crt');
  return { addresses, port, certificate: readClient(variables), authoritiesFile };
}

function readMode(variables: Variables, flag: string | undefined): AgentMode {
  if (flag === undefined) return variables.choice<AgentMode>('NODE_AGENT_MODE', ['wire', 'restore']);
  if (flag === 'wire' || flag === 'restore') return flag;
  variables.problems.add('--mode', 'wire or restore', flag);
  return 'wire';
}
