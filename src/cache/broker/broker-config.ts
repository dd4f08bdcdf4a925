/** The broker's configuration file `broker.json`: plain JSON, no secret in it. Written by nobody but `brokerConfigOf`. */
import { z } from 'zod';
import type { CacheMirror, EgressProxy, ListenAddress, Peers } from '../cache-config.ts';

/** What the broker must know of one mirror. Files and folders are paths; they are followed while it runs. */
export type BrokerMirror = Omit<CacheMirror, 'names' | 'inactiveSeconds' | 'egressProxy'> & {
  readonly egressProxy?: EgressProxy | undefined;
};

export interface BrokerConfig {
  /** The unix sockets on which nginx asks, one for each broker process. */
  readonly sockets: readonly string[];
  /** Where nginx serves the broker's own pod. */
  readonly localSocket: string;
  /** nginx's lines to be counted. */
  readonly requestLog: string;
  readonly nginxPidFile: string;
  /** The broker's own state, on the volume of the cache. */
  readonly stateDir: string;
  /** nginx's `slice`, in bytes: a whole body that fits into one is answered as its first slice. */
  readonly sliceBytes: number;
  readonly metricsListen?: ListenAddress | undefined;
  /** The certificates nginx serves, for the day they expire. */
  readonly certificateFiles?: readonly string[] | undefined;
  readonly peers?: Omit<Peers, 'listen'> | undefined;
  readonly mirrors: readonly BrokerMirror[];
}

const upstream = z.strictObject({
  scheme: z.enum(['https', 'http']),
  host: z.string().min(1),
  pathPrefix: z.string(),
  dockerHub: z.boolean(),
  names: z.array(z.string()),
});

const text = z.string().min(1);
const port = z.int().min(1).max(65535);

const mirror = z.strictObject({
  name: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/),
  upstream,
  masquerade: text,
  tagTtlSeconds: z.int().min(0),
  tagPolicy: z.enum(['revalidate', 'background', 'immutable']),
  access: z.enum(['publicOnly', 'shared', 'passThrough']),
  authTtlSeconds: z.int().min(0),
  maxSizeMiB: z.int().min(1),
  cacheDir: text,
  credentials: z.array(z.strictObject({ prefix: z.string(), dir: text })),
  caFiles: z.array(text),
  redirectHosts: z.array(text),
  egressProxy: z.strictObject({ url: text, noProxy: z.array(text) }).optional(),
  timeouts: z.strictObject({
    connect: z.int().min(1),
    headers: z.int().min(1),
    bodyIdle: z.int().min(1),
  }),
  tokenHosts: z.array(text).optional(),
});

const peers = z.strictObject({
  replicas: z.array(z.strictObject({ name: text, host: text, port })),
  commonName: text,
  serverName: text,
  certFile: text,
  keyFile: text,
  caFile: text,
});

const schema = z
  .strictObject({
    sockets: z.array(text).min(1),
    localSocket: text,
    requestLog: text,
    nginxPidFile: text,
    stateDir: text,
    sliceBytes: z.int().min(1),
    metricsListen: z.strictObject({ address: text, port }).optional(),
    certificateFiles: z.array(text).optional(),
    peers: peers.optional(),
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
