/** One mirror in the broker: its upstream's client, and the files it follows. */
import type { Logger } from '../../observe/log.ts';
import { BlobReader } from '../../registry/blob.ts';
import { createTransport, type Network, type Transport } from '../../registry/transport.ts';
import { UpstreamClient } from '../../registry/upstream-client.ts';
import { UpstreamStatusError } from '../../registry/upstream-error.ts';
import { ClientAccess } from './access/client-access.ts';
import { holdsAuthorities, readBundles, trustedAuthorities } from './authorities.ts';
import type { BrokerMirror } from './broker-config.ts';
import { FailureMemory } from './failure-memory.ts';
import { TagFinder } from './find-tag.ts';
import { mirrorCredentials } from './mirror-credentials.ts';
import { type MirrorReport, MirrorStatus } from './mirror-status.ts';
import { MirrorPeers } from './peers/mirror-peers.ts';
import type { Peers } from './peers/peers.ts';
import { TagReader } from './tag-reader.ts';
import { upstreamRepository } from './upstream-repository.ts';

export interface Mirror {
  readonly config: BrokerMirror;
  readonly client: UpstreamClient;
  readonly blobs: BlobReader;
  /** By repository, digest and range. */
  readonly blobFailures: FailureMemory;
  /** Blobs for which there was no room when they turned out to be longer than anybody had told. */
  readonly overlong: FailureMemory;
  readonly tags: TagReader;
  readonly finder: TagFinder;
  /** The other replicas, which are asked before the upstream. */
  readonly peers: MirrorPeers;
  readonly status: MirrorStatus;
  /** What each client may read, where the upstream decides it. */
  readonly access: ClientAccess;
  /** Drops everything it remembers of objects: what was asked before stands for nobody who asks from now on. */
  forget(): void;
  /** What the upstream calls a repository that clients call `repository`. */
  upstreamRepository(repository: string): string;
  /** Looks at its credentials and CA bundles again. */
  refresh(): Promise<void>;
  report(): MirrorReport;
  /** Lets running requests finish, then closes its connections. */
  close(): Promise<void>;
  destroy(): Promise<void>;
}

/** What is known of objects. */
type Memory = Pick<Mirror, 'blobs' | 'blobFailures' | 'tags' | 'finder'>;

/** Opens a mirror: reads its files; connects to nothing yet. */
export async function openMirror(
  config: BrokerMirror,
  options: { log: Logger; peers: Peers; network?: Network | undefined },
): Promise<Mirror> {
  const log = options.log.child({ mirror: config.name });
  const status = new MirrorStatus(log);
  const origin = new URL(`${config.upstream.scheme}://${config.upstream.host}`);
  const credentials = mirrorCredentials(config, log);
  const connections = await openConnections(config, origin, log, options.network);
  const client = new UpstreamClient({
    origin,
    transport: connections.current,
    credentials: credentials.of,
    tokenHosts: config.tokenHosts,
    counters: status.counters,
    onTokenServer: (host, shown) => status.noteTokenServer(host, shown),
  });
  await credentials.reread();
  const peers = new MirrorPeers(options.peers, config, status.peers);
  const empty = () => emptyMemory({ config, client, peers, status });
  let memory = empty();
  return {
    config,
    client,
    get blobs() {
      return memory.blobs;
    },
    get blobFailures() {
      return memory.blobFailures;
    },
    get tags() {
      return memory.tags;
    },
    get finder() {
      return memory.finder;
    },
    overlong: new FailureMemory(),
    peers,
    status,
    access: new ClientAccess(client, config.authTtlSeconds * 1000, {
      note: (error) => noteAccess(status, error),
    }),
    forget: () => {
      memory = empty();
    },
    upstreamRepository: (repository) => upstreamRepository(config.upstream, repository),
    refresh: async () => void (await Promise.all([credentials.reread(), connections.refresh()])),
    report: () => status.report(config.name, credentials),
    close: () => connections.current().close(),
    destroy: () => connections.current().destroy(),
  };
}

/** Questions for clients ask with what they showed: its limit is theirs, and an answer says nothing of ours. */
function noteAccess(status: MirrorStatus, error: unknown): void {
  if (!(error instanceof UpstreamStatusError && error.status === 429)) status.note(error, 'head');
}

function emptyMemory({
  config,
  client,
  peers,
  status,
}: Pick<Mirror, 'config' | 'client' | 'peers' | 'status'>): Memory {
  const tags = new TagReader(client, (object) => status.note(undefined, object));
  const finder = new TagFinder({ config, tags, peers });
  return { blobs: new BlobReader(client), blobFailures: new FailureMemory(), tags, finder };
}

interface Connections {
  current(): Transport;
  /** Other CA bundles: new connections trust them; running requests end on the old ones. */
  refresh(): Promise<void>;
}

async function openConnections(
  config: BrokerMirror,
  origin: URL,
  log: Logger,
  network: Network | undefined,
): Promise<Connections> {
  const { redirectHosts, egressProxy: proxy } = config;
  const connect = (bundles: string) =>
    createTransport(origin, {
      authorities: trustedAuthorities(bundles, log),
      redirectHosts,
      proxy,
      network: { ...network, timeouts: network?.timeouts ?? config.timeouts },
    });
  let bundles = await readBundles(config.caFiles);
  let transport = connect(bundles);
  const warnKept = once(() => log.warn('CA bundle is gone; the last one stays in force'));
  return {
    current: () => transport,
    refresh: async () => {
      const now = await readBundles(config.caFiles);
      if (now === bundles) return;
      // The kubelet empties the mount of a ConfigMap that is gone: what worked stays in force.
      if (holdsAuthorities(bundles) && !holdsAuthorities(now)) return warnKept(now);
      bundles = now;
      const old = transport;
      transport = connect(bundles);
      log.info('CA bundle changed');
      // Not awaited: a body may take as long as it likes to end.
      old.close().catch((error: unknown) => log.warn({ error }, 'Connections failed to close'));
    },
  };
}

function once(report: (value: string) => void): (value: string) => void {
  const seen = new Set<string>();
  return (value) => {
    if (seen.has(value)) return;
    seen.add(value);
    report(value);
  };
}
