/** The list of mirrors that a shared node agent is given: `{"mirrors": [NodeMirror], "others": [name]}`, with the authorities of each in NAME.crt beside it. */
import { dirname } from 'node:path';
import type { NodeMirror } from '../api/node-mirror.ts';
import type { CertificateFiles, MirrorList, WiredMirror } from '../node/options.ts';

/** Takes the text of the file; throws one `TypeError` that names the entry and the field. */
export function parseMirrorsFile(text: string, file: string, client: CertificateFiles): MirrorList {
  const value = parseJson(text);
  const { mirrors, others = [] } = (value ?? {}) as { mirrors?: unknown; others?: unknown };
  if (!Array.isArray(mirrors)) throw new TypeError('mirrors: expected a list');
  if (!isTexts(others)) throw new TypeError('others: expected a list of names');
  const wired = mirrors.map((each, at): WiredMirror => {
    const mirror = checked(each, `mirrors[${at}]`);
    return { ...mirror, caFile: `${dirname(file)}/${mirror.name}.crt`, client };
  });
  return { mirrors: wired, whole: true, others: others as string[] };
}

const checks: Readonly<Record<keyof NodeMirror, (value: unknown) => boolean>> = {
  name: (value) => typeof value === 'string' && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(value),
  names: (value) =>
    isList(value, (each) => {
      const { name, upstream } = (each ?? {}) as Record<string, unknown>;
      return typeof name === 'string' && typeof upstream === 'boolean';
    }),
  addresses: isTexts,
  fallbackPort: isPortOrNone,
  port: isPortOrNone,
  endpoint: oneOf('loopback', 'service'),
  serverName: isText,
  runtimes: (value) => isList(value, oneOf('auto', 'docker', 'containerd', 'crio', 'hosts')),
  hostsNames: isTexts,
  certificateNames: isTexts,
  clientCertificate: (value) => typeof value === 'boolean',
  containerd: oneOf('report', 'configure', 'configureAndRestart'),
  foreignFiles: oneOf('refuse', 'takeover'),
  foreignHostsLines: oneOf('override', 'respect'),
};

function checked(value: unknown, where: string): NodeMirror {
  if (typeof value !== 'object' || value === null) throw new TypeError(`${where}: expected a mirror`);
  const fields = value as Readonly<Record<string, unknown>>;
  for (const [field, isRight] of Object.entries(checks)) {
    if (!isRight(fields[field])) throw new TypeError(`${where}.${field}: expected another value`);
  }
  return fields as unknown as NodeMirror;
}

/** The parser's own error quotes the text. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new TypeError('expected JSON');
  }
}

function isPortOrNone(value: unknown): boolean {
  return value === undefined || (Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && !value.includes('\0');
}

function isTexts(value: unknown): boolean {
  // Each may become a folder's name.
  return isList(value, (each) => isText(each) && !String(each).includes('/'));
}

function isList(value: unknown, isRight: (each: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isRight);
}

function oneOf(...choices: readonly string[]): (value: unknown) => boolean {
  return (value) => choices.some((choice) => choice === value);
}
