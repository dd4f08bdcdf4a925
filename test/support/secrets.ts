/**
 * Remembers every secret that a test hands out (each test file is a process of its own) and looks for them where none may be.
 * Upstreams and clients of test/support note what they give; caches and brokers are searched when they end.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const secrets = new Set<string>();

/** Shorter ones are words that stand anywhere by chance; tests that look for leaks use long ones. */
const shortest = 12;

/** A password, a token, a signature. */
export function noteSecret(secret: string | undefined): void {
  if (secret === undefined || secret.length < shortest) return;
  for (const spelt of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
    secrets.add(spelt);
}

/** The value of an `Authorization` header, with the password that a Basic one packs. */
export function noteAuthorization(header: string | string[] | undefined): void {
  const [, scheme = '', value = ''] = /^(\S+)\s+(.*)$/.exec(String(header ?? '')) ?? [];
  noteSecret(value);
  if (!/^basic$/i.test(scheme)) return;
  noteSecret(
    Buffer.from(value, 'base64')
      .toString()
      .replace(/^[^:]*:/, ''),
  );
}

/** The secrets noted so far, for tests that make sure there were some. */
export function notedSecrets(): readonly string[] {
  return [...secrets];
}

/** Returns what of them stands in `content`. */
export function secretsIn(content: string | Buffer): string[] {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return [...secrets].filter((secret) => bytes.includes(secret));
}

/** Throws what of them stands in some output; `what` names it. */
export function assertNoSecretsIn(what: string, content: string): void {
  const [secret] = secretsIn(content);
  if (secret !== undefined) throw new Error(`secrets were written: ${what}: ${secret}`);
}

/** How much of a cached object is searched: nginx's own head, the key and the answer's headers come first. */
const headBytes = 64 * 1024;

/** Searches the names and contents of all files below `dir` and throws what was found where. `except`: folders that hold secrets. */
export function assertNoSecretsBelow(dir: string, except: readonly string[] = []): void {
  const found = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !except.some((place) => file.startsWith(`${place}/`)))
    .flatMap((file) => {
      const name = relative(dir, file);
      const secret = secretsIn(name)[0] ?? secretsIn(searched(file))[0];
      return secret === undefined ? [] : [`${name}: ${secret}`];
    });
  if (found.length > 0) throw new Error(`secrets were written: ${found.join(', ')}`);
}

function searched(file: string): Buffer {
  try {
    const content = readFileSync(file);
    return /\/[0-9a-f]{32}$/.test(file) ? content.subarray(0, headBytes) : content;
  } catch {
    // nginx was quicker.
    return Buffer.alloc(0);
  }
}
