/** The YAML file of `standalone`: RegistryMirrors and the Secrets they name, or every fault with its line and field. Pure. */
import { canonicalMirror } from '../api/canonical.ts';
import { isRecord } from '../api/is-record.ts';
import { apiVersion, kind } from '../api/kind.ts';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import { masqueradeOf, parseUpstream, type Upstream } from '../api/upstream.ts';
import { type Fault, fieldPath, isSound, validateRegistryMirror } from '../api/validate.ts';
import { ConfigError } from '../config/problems.ts';
import { errorMessage } from '../observe/error-message.ts';
import type { CredentialFiles } from './credentials.ts';
import { type Path, parseYaml, YamlError } from './yaml-lines.ts';

/** A file's mirrors in its order, with the credentials of those that have some. */
export interface MirrorsFile {
  readonly mirrors: readonly RegistryMirror[];
  /** By mirror. */
  readonly credentials: ReadonlyMap<string, readonly PrefixedCredentials[]>;
}

/** Credentials for the repositories below a prefix. */
export interface PrefixedCredentials {
  readonly prefix: string;
  /** `username` and `password`, `.dockerconfigjson`, or `token`. */
  readonly files: CredentialFiles;
}

/** Throws what is wrong with credentials for what of this upstream is below a prefix, without showing them. Given: the registry's client is not ours to import. */
export type CheckCredentials = (files: CredentialFiles, upstream: Upstream, prefix: string) => void;

/** A RegistryMirror or a Secret of the file, and how its fields are found again. */
interface Item<T> {
  readonly object: T;
  readonly lineOf: (path: Path) => number;
}

/** What of a mirror is without fault; other documents are held against it even where the rest is not. */
interface Draft {
  readonly name?: string | undefined;
  readonly masquerade?: string | undefined;
  readonly upstream?: Upstream | undefined;
  readonly credentials: readonly WantedSecret[];
}

/** A Secret that a mirror names, and the field in which it does. */
interface WantedSecret {
  readonly path: Path;
  readonly prefix: string;
  readonly secret: string;
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
  const mirrors: RegistryMirror[] = [];
  const drafts: Item<Draft>[] = [];
  const secrets: Item<Secret>[] = [];
  for (const { value, lineOf } of documents(text, report)) {
    const kindOf = isRecord(value) ? value['kind'] : undefined;
    if (kindOf === 'Secret') secrets.push({ object: readSecret(value, lineOf, report), lineOf });
    else if (kindOf === kind) drafts.push({ object: readMirror(value, lineOf, report, mirrors), lineOf });
    else report.add(lineOf(['kind']), ['kind'], `expected ${kind} (${apiVersion}) or Secret (v1)`);
  }
  checkTogether(drafts, secrets, report);
  const credentials = findCredentials(drafts, secrets, check, report);
  report.throwIfAny();
  return { mirrors, credentials };
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
  into: RegistryMirror[],
): Draft {
  const validated = validateRegistryMirror(value);
  const faults = 'faults' in validated ? validated.faults : [];
  for (const fault of faults) report.fault(lineOf, fault);
  if ('mirror' in validated) into.push(validated.mirror);
  return draftOf(canonicalMirror(value), faults);
}

function draftOf(value: unknown, faults: readonly Fault[]): Draft {
  const sound = (...path: string[]) => {
    const found = isSound(path, faults) ? path.reduce(field, value) : undefined;
    return typeof found === 'string' ? found : undefined;
  };
  const upstreamUrl = sound('spec', 'upstreamUrl');
  const masqueradeUrl = sound('spec', 'masqueradeUrl');
  const named = upstreamUrl !== undefined && isSound(['spec', 'masqueradeUrl'], faults);
  return {
    name: sound('metadata', 'name'),
    masquerade: named ? masqueradeOf({ spec: { upstreamUrl, masqueradeUrl } }) : undefined,
    upstream: upstreamUrl === undefined ? undefined : parseUpstream(upstreamUrl),
    credentials: isSound(['spec', 'credentials'], faults) ? wantedSecrets(value, sound) : [],
  };
}

function wantedSecrets(
  value: unknown,
  sound: (...path: string[]) => string | undefined,
): readonly WantedSecret[] {
  const one = sound('spec', 'credentialsSecret');
  if (one !== undefined) return [{ path: ['spec', 'credentialsSecret'], prefix: '', secret: one }];
  const listed = ['spec', 'credentials'].reduce(field, value);
  if (!Array.isArray(listed)) return [];
  return listed.map((entry, index) => ({
    path: ['spec', 'credentials', index, 'secret'],
    prefix: String(field(entry, 'prefix') ?? ''),
    secret: String(field(entry, 'secret')),
  }));
}

function field(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined;
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
  mirrors: readonly Item<Draft>[],
  secrets: readonly Item<Secret>[],
  report: Report,
): void {
  if (mirrors.length === 0 && report.empty) report.add(1, [], `expected at least one ${kind}`);
  checkUnique(mirrors, ['metadata', 'name'], ({ name }) => name, report);
  checkUnique(mirrors, ['spec', 'masqueradeUrl'], ({ masquerade }) => masquerade, report);
  checkUnique(secrets, ['metadata', 'name'], (secret) => secret.name, report);
}

function checkUnique<T>(
  items: readonly Item<T>[],
  path: Path,
  keyOf: (object: T) => string | undefined,
  report: Report,
): void {
  const first = new Map<string, number>();
  for (const { object, lineOf } of items) {
    const key = keyOf(object);
    if (key === undefined) continue;
    const line = lineOf(path);
    const before = first.get(key);
    if (before === undefined) first.set(key, line);
    else report.add(line, path, `${JSON.stringify(key)} is taken by line ${before}`);
  }
}

/** The credentials of each mirror that wants some; Secrets that are missing, lack keys or are of no use to its upstream are faults. */
function findCredentials(
  mirrors: readonly Item<Draft>[],
  secrets: readonly Item<Secret>[],
  check: CheckCredentials,
  report: Report,
): Map<string, readonly PrefixedCredentials[]> {
  const credentials = new Map<string, readonly PrefixedCredentials[]>();
  for (const { object, lineOf } of mirrors) {
    const { name, upstream, credentials: wanted } = object;
    const found = wanted.flatMap(({ path, prefix, secret }) => {
      try {
        const files = credentialOf(secret, secrets);
        if (upstream !== undefined) check(files, upstream, prefix);
        return [{ prefix, files }];
      } catch (error) {
        report.add(lineOf(path), path, `${errorMessage(error)} (Secret ${JSON.stringify(secret)})`);
        return [];
      }
    });
    if (name !== undefined && found.length > 0) credentials.set(name, found);
  }
  return credentials;
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
