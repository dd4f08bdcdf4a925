/** What a mirror shows to its own upstream, read from the files of a mounted Secret. Pure. */

/**
 * `basic`: user name and password, for Basic and for token realms. `identity`: a refresh token, for token realms
 * only (OAuth2), with the user name that stood beside it. `bearer`: a registry token, sent to the registry as it is.
 */
export type Credentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'identity'; readonly token: string; readonly username?: string }
  | { readonly kind: 'bearer'; readonly token: string };

/** Where credentials come from while they may change at any time. */
export interface CredentialSource {
  current(): Credentials | undefined;
  /** Looks again at once. `current` is another object from then on only where there are other credentials. */
  reread(): Promise<void>;
}

/** A source that never has any. */
export const noCredentials: CredentialSource = { current: () => undefined, reread: async () => {} };

/** The files of a Secret that mean something here, by name, with their text. */
export type CredentialFiles = Readonly<Partial<Record<CredentialFile, string>>>;
export type CredentialFile = (typeof credentialFiles)[number];
export const credentialFiles = ['username', 'password', '.dockerconfigjson', 'token'] as const;

/**
 * Takes the files and the names of the upstream (host, host with path prefix), and returns its credentials, undefined
 * when there are no files at all. Throws `TypeError` that says what is wrong without saying what is in them.
 */
export function parseCredentials(files: CredentialFiles, names: readonly string[]): Credentials | undefined {
  const { username, password, token } = files;
  const dockerConfig = files['.dockerconfigjson'];
  if (username !== undefined && password !== undefined) {
    return basic(withoutNewline(username), withoutNewline(password));
  }
  if (username !== undefined || password !== undefined) {
    throw new TypeError(
      `credentials: expected username and password, got ${username ? 'username' : 'password'} only`,
    );
  }
  if (dockerConfig !== undefined) return fromDockerConfig(dockerConfig, names);
  if (token === undefined) return undefined;
  return { kind: 'bearer', token: tokenText(withoutNewline(token), 'token') };
}

/** The names under which a docker configuration may list what lies below `prefix` of an upstream, closest first, each once. */
export function credentialNames(
  upstream: { readonly host: string; readonly pathPrefix: string; readonly names: readonly string[] },
  prefix = '',
): string[] {
  const hosts = [upstream.host, ...upstream.names];
  const path = [upstream.pathPrefix, prefix].filter((part) => part !== '').join('/');
  const paths = path === '' ? [] : hosts.map((host) => `${host}/${path}`);
  return [...new Set([...paths, ...hosts])];
}

/** `host[:port][/path]` in parts; the port is 443 where none is given. */
interface Place {
  readonly labels: readonly string[];
  readonly port: string;
  readonly path: readonly string[];
}

interface Auth {
  readonly place: Place;
  readonly entry: AuthEntry;
}

interface AuthEntry {
  readonly auth?: unknown;
  readonly username?: unknown;
  readonly password?: unknown;
  readonly identitytoken?: unknown;
  readonly registrytoken?: unknown;
}

/** As with the kubelet a path stands for all below it, and of several entries the most specific one counts, not the first. */
function fromDockerConfig(text: string, names: readonly string[]): Credentials {
  const wanted = names.map(placeOf);
  const found = parseAuths(text)
    .filter(({ place }) => wanted.some((name) => isAbove(place, name)))
    .reduce<Auth | undefined>((best, auth) => (best && !isCloser(auth, best) ? best : auth), undefined);
  if (found === undefined) {
    throw new TypeError(`.dockerconfigjson: expected an entry for ${names.join(' or ')}, got none`);
  }
  return fromEntry(found.entry);
}

function fromEntry(entry: AuthEntry): Credentials {
  const { auth, username, password, identitytoken, registrytoken } = entry;
  if (isText(identitytoken)) return identity(identitytoken, isText(username) ? username : userOf(auth));
  if (isText(registrytoken)) return { kind: 'bearer', token: tokenText(registrytoken, 'registrytoken') };
  if (isText(username) && isText(password)) return basic(username, password);
  if (!isText(auth)) throw new TypeError('.dockerconfigjson: expected auth, or username and password');
  const [user, ...rest] = Buffer.from(auth, 'base64').toString('utf8').split(':');
  // Some tools pad with NUL; docker trims them as well.
  return basic(user ?? '', rest.join(':').replace(/\0+$/, ''));
}

function identity(token: string, username: string): Credentials {
  const usable = username !== '' && !username.includes(':') && !hasControl(username);
  return { kind: 'identity', token: tokenText(token, 'identitytoken'), ...(usable && { username }) };
}

function userOf(auth: unknown): string {
  return isText(auth) ? (Buffer.from(auth, 'base64').toString('utf8').split(':')[0] ?? '') : '';
}

function parseAuths(text: string): Auth[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // No cause: its message quotes the text.
    throw new TypeError('.dockerconfigjson: expected JSON');
  }
  const auths = isRecord(value) ? value['auths'] : undefined;
  if (!isRecord(auths)) throw new TypeError('.dockerconfigjson: expected an object "auths"');
  return Object.entries(auths)
    .filter((pair): pair is [string, AuthEntry] => isRecord(pair[1]))
    .map(([name, entry]) => ({ place: placeOf(name), entry }));
}

/** `https://index.docker.io/v1/` and `index.docker.io` are one name; so are `host` and `host:443`. */
function placeOf(name: string): Place {
  const [host = '', ...path] = name
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\/+$/, '')
    .replace(/^([^/]+)\/v[12](?=\/|$)/, '$1')
    .split('/');
  const port = /:[0-9]+$/.exec(host)?.[0] ?? ':443';
  return { labels: host.replace(/:[0-9]+$/, '').split('.'), port, path };
}

/** Whether `name` is `place` or lies below it; `*` in `place` stands for any part of one label. */
function isAbove(place: Place, name: Place): boolean {
  return (
    place.port === name.port &&
    place.labels.length === name.labels.length &&
    place.labels.every((label, at) => matches(label, name.labels[at] ?? '')) &&
    place.path.every((step, at) => step === name.path[at])
  );
}

/** A name before a pattern, then the longer path; between patterns the one whose first labels are names. */
function isCloser({ place: a }: Auth, { place: b }: Auth): boolean {
  const patterns = (place: Place) => place.labels.filter((label) => label.includes('*')).length;
  const difference = patterns(b) - patterns(a) || a.path.length - b.path.length;
  return difference > 0 || (difference === 0 && a.labels.join('.') > b.labels.join('.'));
}

/** No regular expression: one made of many stars takes for ever. */
function matches(pattern: string, label: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return pattern === label;
  if (!label.startsWith(first) || !label.endsWith(last)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = label.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= label.length - last.length;
}

function basic(username: string, password: string): Credentials {
  // RFC 7617 section 2: no colon in the user-id; control characters are forbidden in both, but Google's passwords (`_json_key`) are files of lines.
  if (username === '' || username.includes(':') || hasControl(username)) {
    throw new TypeError('username: expected text without colons and control characters');
  }
  if (password === '' || hasControl(password.replace(/[\t\r\n]/g, ''))) {
    throw new TypeError('password: expected text without control characters but those of lines');
  }
  return { kind: 'basic', username, password };
}

function tokenText(value: string, field: string): string {
  if (!/^[\x21-\x7e]+$/.test(value)) throw new TypeError(`${field}: expected printable ASCII without spaces`);
  return value;
}

function hasControl(value: string): boolean {
  return /\p{Cc}/u.test(value);
}

/** A file written with an editor ends in a newline that is no part of the secret. */
function withoutNewline(value: string): string {
  return value.replace(/\r?\n$/, '');
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
