/**
 * The list of mirrors that a shared node agent is given (`NodeList`), with the authorities of each in the file `bundle` beside it. */
import { isIP } from 'node:net';
import { dirname } from 'node:path';
import type { ListEntry, NodeList } from '../api/node-mirror.ts';
import { parseJson } from '../node/kept-list.ts';
import type { CertificateFiles, MirrorList, RefusedMirror, WiredMirror } from '../node/options.ts';
import { hostName, isRegistryName } from './node-mirror-environment.ts';

/**
 * Takes the text of the file; throws a `TypeError` where it is no such list. An entry that is not as expected is `refused` and left alone on the node:
 * one mirror must not keep the others from being wired.
 */
export function parseMirrorsFile(text: string, file: string, client: CertificateFiles): MirrorList {
  const value = parseJson(text);
  const { mirrors, others = [], gone = [], version } = (value ?? {}) as Record<keyof NodeList, unknown>;
  if (!Array.isArray(mirrors)) throw new TypeError('mirrors: expected a list');
  if (!isTexts(others)) throw new TypeError('others: expected a list of names');
  if (!isTexts(gone)) throw new TypeError('gone: expected a list of names');
  const entries = mirrors.map((each, at) => checked(each, `mirrors[${at}]`));
  const wired = entries.flatMap((entry): WiredMirror[] => {
    if ('fault' in entry) return [];
    const { bundle, ...mirror } = entry;
    return [{ ...mirror, caFile: `${dirname(file)}/${bundle}`, client }];
  });
  const refused = entries.flatMap((entry) => ('fault' in entry ? [entry] : []));
  return {
    mirrors: wired,
    whole: true,
    others: [...(others as string[]), ...refused.map(({ name }) => name)],
    gone: gone as string[],
    ...(isVersion(version) && { version }),
    refused,
  };
}

const checks: Readonly<Record<keyof ListEntry, (value: unknown) => boolean>> = {
  bundle: (value) => typeof value === 'string' && /^[0-9a-f]{16}\.pem$/.test(value),
  name: (value) => typeof value === 'string' && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(value),
  names: (value) =>
    isList(value, (each) => {
      const { name, upstream, scheme = 'https' } = (each ?? {}) as Record<string, unknown>;
      return isName(name) && typeof upstream === 'boolean' && oneOf('https', 'http')(scheme);
    }),
  addresses: (value) => isList(value, (each) => typeof each === 'string' && isIP(each) !== 0),
  fallbackPort: isPortOrNone,
  port: isPortOrNone,
  endpoint: oneOf('loopback', 'service'),
  serverName: (value) => typeof value === 'string' && hostName.test(value),
  runtimes: (value) => isList(value, oneOf('auto', 'docker', 'containerd', 'crio', 'hosts')),
  hostsNames: isNames,
  certificateNames: isNames,
  clientCertificate: (value) => typeof value === 'boolean',
  containerd: oneOf('report', 'configure', 'configureAndRestart'),
  foreignFiles: oneOf('refuse', 'takeover'),
  foreignHostsLines: oneOf('override', 'respect'),
};

function checked(value: unknown, where: string): ListEntry | RefusedMirror {
  if (typeof value !== 'object' || value === null) throw new TypeError(`${where}: expected a mirror`);
  const fields = value as Readonly<Record<string, unknown>>;
  const wrong = Object.entries(checks).find(([field, isRight]) => !isRight(fields[field]))?.[0];
  if (wrong === undefined) return fields as unknown as ListEntry;
  const fault = `${where}.${wrong}: expected another value`;
  if (wrong === 'name') throw new TypeError(fault);
  return { name: fields['name'] as string, fault };
}

function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function isPortOrNone(value: unknown): boolean {
  return value === undefined || (Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && !value.includes('\0');
}

function isTexts(value: unknown): boolean {
  return isList(value, isText);
}

/** Each may become a folder's name, and a part of a line. */
function isNames(value: unknown): boolean {
  return isList(value, isName);
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && isRegistryName(value);
}

function isList(value: unknown, isRight: (each: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isRight);
}

function oneOf(...choices: readonly string[]): (value: unknown) => boolean {
  return (value) => choices.some((choice) => choice === value);
}
