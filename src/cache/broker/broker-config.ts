/** The broker's configuration file `broker.json`: plain JSON, no secret in it. Written by nobody but `brokerConfigOf`. */
import { z } from 'zod';
import type { Upstream } from '../../api/upstream.ts';

/** What the broker must know of one mirror. Files and folders are paths; they are followed while it runs. */
export interface BrokerMirror {
  readonly name: string;
  readonly upstream: Upstream;
  /** How long nginx may serve a tag without asking, in seconds. */
  readonly tagTtlSeconds: number;
  /** Folder with `username` and `password`, or `.dockerconfigjson`, or `token`; absent: anonymous. */
  readonly credentialsDir?: string | undefined;
  /** PEM bundles trusted beside the system's; a file may be missing. */
  readonly caFiles: readonly string[];
  /** Further hosts whose token realms may be given the credentials (`auth.example.com`). */
  readonly tokenHosts?: readonly string[] | undefined;
}

export interface BrokerConfig {
  /** The unix socket on which nginx asks. */
  readonly socket: string;
  /** nginx's `slice`, in bytes: a whole body that fits into one is answered as its first slice. */
  readonly sliceBytes: number;
  readonly mirrors: readonly BrokerMirror[];
}

const upstream = z.strictObject({
  scheme: z.enum(['https', 'http']),
  host: z.string().min(1),
  pathPrefix: z.string(),
  dockerHub: z.boolean(),
  names: z.array(z.string()),
});

const mirror = z.strictObject({
  name: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/),
  upstream,
  tagTtlSeconds: z.int().min(0),
  credentialsDir: z.string().min(1).optional(),
  caFiles: z.array(z.string().min(1)),
  tokenHosts: z.array(z.string().min(1)).optional(),
});

const schema = z
  .strictObject({
    socket: z.string().min(1),
    sliceBytes: z.int().min(1),
    mirrors: z.array(mirror),
  })
  .refine((config) => new Set(config.mirrors.map(({ name }) => name)).size === config.mirrors.length, {
    path: ['mirrors'],
    message: 'expected every mirror to have a name of its own',
  });

/** Takes the text of `broker.json` and returns the configuration; throws `TypeError` that lists every fault. */
export function parseBrokerConfig(text: string): BrokerConfig {
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new TypeError(`broker.json: ${faults.join('; ')}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TypeError('broker.json: expected JSON', { cause: error });
  }
}
