/** What containerd's arguments and configuration say of the file that it reads and the socket that it answers on. Pure. */
import { posix } from 'node:path';
import { parseToml, tableOf, textOf } from './table.ts';

/** The file of containerd itself and of its packages. */
export const defaultConfigFile = '/etc/containerd/config.toml';

/** The socket of one that was told of none. */
export const defaultAddress = '/run/containerd/containerd.sock';

/** Returns the path of the configuration file as it was given, which may be relative to where containerd was started. */
export function configFileOf(commandLine: readonly string[]): string {
  return optionOf(commandLine, 'config', 'c') ?? defaultConfigFile;
}

/** Returns the path of the socket; `config` is the text of the configuration file. */
export function addressOf(commandLine: readonly string[], config: string): string {
  const address = optionOf(commandLine, 'address', 'a') ?? addressIn(config) ?? defaultAddress;
  return posix.normalize(address).replace(/^\/var\/run\//, '/run/');
}

/** The last one counts; both take one dash or two. */
function optionOf(commandLine: readonly string[], name: string, short: string): string | undefined {
  const at = commandLine.findLastIndex((each) => new RegExp(`^--?(${name}|${short})(=|$)`).test(each));
  const [, value] = /^[^=]+=(.*)$/s.exec(commandLine[at] ?? '') ?? [];
  return at === -1 ? undefined : textOf(value ?? commandLine[at + 1]);
}

function addressIn(config: string): string | undefined {
  try {
    return textOf(tableOf(parseToml(config)['grpc'])['address']);
  } catch {
    return undefined;
  }
}
