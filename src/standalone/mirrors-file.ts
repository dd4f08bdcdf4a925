/** The YAML file of `standalone`: RegistryMirrors and the Secrets they name, or every fault with its line and field. Pure. */
import { apiVersion, kind } from '../api/kind.ts';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import { masqueradeOf, parseUpstream, type Upstream } from '../api/upstream.ts';
import { type Fault, fieldPath, validateRegistryMirror } from '../api/validate.ts';
import { ConfigError } from '../config/problems.ts';
import { errorMessage } from '../observe/error-message.ts';
import type { CredentialFiles } from './credentials.ts';
import { type Path, parseYaml, YamlError } from './yaml-lines.ts';

/** A file's mirrors in its order, with the credentials of those that have some. */
export interface MirrorsFile {
  readonly mirrors: readonly RegistryMirror[];
  /** Files of the credentials folder by mirror: `username` and `password`, `.dockerconfigjson`, or `token`. */
  readonly credentials: ReadonlyMap<string, CredentialFiles>;
}

/** Throws what is wrong with credentials for this upstream, without showing them. Given: the registry's client is not ours to import. */
export type CheckCredentials = (files: CredentialFiles, upstream: Upstream) => void;

/** A RegistryMirror or a Secret of the file, and how its fields are found again. */
interface Item<T> {
  readonly object: T;
  readonly lineOf: (path: Path) => number;
}

interface Secret {
  readonly name: string;
  readonly values: Readonly<Record<string, string>>;
}

/** Which keys make a credential, best first. */
const credentialKeys = [['username', 'password'], ['.dockerconfigjson'], ['token']] as const;

/** Takes the file's text; throws a `ConfigError` with one line `NAME:LINE: FIELD: FAULT` for every fault. Without `check` what is in Secrets is trusted. */
export function parseMirrorsFile(
  text: string,
  name: string,
  check: CheckCredentials = () => undefined,
): MirrorsFile {
  const report = new Report(name);
  const mirrors: Item<RegistryMirror>[] = [];
  const secrets: Item<Secret>[] = [];
  for (const { value, lineOf } of documents(text, report)) {
    const kindOf = isRecord(value) ? value['kind'] : undefined;
    if (kindOf === 'Secret') secrets.push({ object: readSecret(value, lineOf, report), lineOf });
    else if (kindOf === kind) readMirror(value, lineOf, report, mirrors);
    else report.add(lineOf(['kind']), ['kind'], `expected ${kind} (${apiVersion}) or Secret (v1)`);
  }
  checkTogether(mirrors, secrets, report);
  const credentials = findCredentials(mirrors, secrets, check, report);
  report.throwIfAny();
  return { mirrors: mirrors.map(({ object }) => object), credentials };
}

function documents(text: string, report: Report) {
  try {
    return parseYaml(text);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    report.add(error.line, [], error.message);
    report.throwIfAny();
    throw error;
  }
}

function readMirror(
  value: unknown,
  lineOf: Item<unknown>['lineOf'],
  report: Report,
  into: Item<RegistryMirror>[],
): void {
  const validated = validateRegistryMirror(value);
  if ('mirror' in validated) into.push({ object: validated.mirror, lineOf });
  else for (const fault of validated.faults) report.fault(lineOf, fault);
}

/** `stringData` wins over `data`, as in the API server. A fault never shows a value. */
function readSecret(value: unknown, lineOf: Item<unknown>['lineOf'], report: Report): Secret {
  const secret = isRecord(value) ? value : {};
  const name = isRecord(secret['metadata']) ? secret['metadata']['name'] : undefined;
  if (typeof name !== 'string' || name === '') {
    report.add(lineOf(['metadata', 'name']), ['metadata', 'name'], 'Required value');
  }
  const values: Record<string, string> = {};
  for (const field of ['data', 'stringData'] as const) {
    const entries = secret[field] ?? {};
    if (!isRecord(entries)) {
      report.add(lineOf([field]), [field], 'expected keys and values');
      continue;
    }
    for (const [key, given] of Object.entries(entries)) {
      const text = field === 'data' ? decoded(given) : given;
      if (typeof text === 'string') values[key] = text;
      else report.add(lineOf([field, key]), [field, key], expectation[field]);
    }
  }
  return { name: String(name), values };
}

const expectation = { data: 'expected text in base64', stringData: 'expected text (put it in quotes)' };

function decoded(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const compact = value.replace(/\s/g, '');
  return /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(compact)
    ? Buffer.from(compact, 'base64').toString()
    : undefined;
}

/** What one object alone cannot tell: names used twice. */
function checkTogether(
  mirrors: readonly Item<RegistryMirror>[],
  secrets: readonly Item<Secret>[],
  report: Report,
): void {
  if (mirrors.length === 0 && report.empty) report.add(1, [], `expected at least one ${kind}`);
  checkUnique(mirrors, ['metadata', 'name'], ({ metadata }) => metadata.name, report);
  checkUnique(mirrors, ['spec', 'masqueradeUrl'], masqueradeOf, report);
  checkUnique(secrets, ['metadata', 'name'], (secret) => secret.name, report);
}

/** The credentials of each mirror that wants some; Secrets that are missing, lack keys or are of no use to its upstream are faults. */
function findCredentials(
  mirrors: readonly Item<RegistryMirror>[],
  secrets: readonly Item<Secret>[],
  check: CheckCredentials,
  report: Report,
): Map<string, CredentialFiles> {
  const credentials = new Map<string, CredentialFiles>();
  for (const { object, lineOf } of mirrors) {
    const { credentialsSecret: wanted, upstreamUrl } = object.spec;
    if (wanted === undefined) continue;
    try {
      const found = credentialOf(wanted, secrets);
      check(found, parseUpstream(upstreamUrl));
      credentials.set(object.metadata.name, found);
    } catch (error) {
      const path = ['spec', 'credentialsSecret'];
      report.add(lineOf(path), path, `${errorMessage(error)} (Secret ${JSON.stringify(wanted)})`);
    }
  }
  return credentials;
}

function checkUnique<T>(
  items: readonly Item<T>[],
  path: Path,
  keyOf: (object: T) => string,
  report: Report,
): void {
  const first = new Map<string, number>();
  for (const { object, lineOf } of items) {
    const key = keyOf(object);
    const line = lineOf(path);
    const before = first.get(key);
    if (before === undefined) first.set(key, line);
    else report.add(line, path, `${JSON.stringify(key)} is taken by line ${before}`);
  }
}

function credentialOf(name: string, secrets: readonly Item<Secret>[]): CredentialFiles {
  const values = secrets.find(({ object }) => object.name === name)?.object.values;
  if (values === undefined) throw new TypeError('expected a Secret of this file');
  const keys = credentialKeys.find((wanted) =>
    wanted.every((key) => values[key] !== undefined && values[key] !== ''),
  );
  if (keys === undefined)
    throw new TypeError('expected a Secret with the keys username and password, .dockerconfigjson, or token');
  return Object.fromEntries(keys.map((key) => [key, values[key] ?? '']));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** Collects faults and prints them in the order of the file. */
class Report {
  readonly #file: string;
  readonly #faults: { line: number; text: string }[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  get empty(): boolean {
    return this.#faults.length === 0;
  }

  add(line: number, path: Path, message: string): void {
    const field = path.length === 0 ? '' : `${fieldPath(path)}: `;
    this.#faults.push({ line, text: `${this.#file}:${line}: ${field}${message}` });
  }

  fault(lineOf: (path: Path) => number, { path, message }: Fault): void {
    this.add(lineOf(path), path, message);
  }

  throwIfAny(): void {
    if (this.empty) return;
    throw new ConfigError(this.#faults.sort((a, b) => a.line - b.line).map(({ text }) => text));
  }
}
