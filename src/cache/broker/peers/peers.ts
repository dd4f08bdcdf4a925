/**
 * The other replicas of this cache, as the broker of one of them asks them before it asks an upstream. The main file of
 * this folder; opened by `broker.ts`, used by what answers for blobs and manifests (docs/adr/0009-replicas.md).
 */
import { Agent } from 'undici';
import type { Logger } from '../../../observe/log.ts';
import { BoundedMap } from '../../../registry/bounded-map.ts';
import { elapsedMs } from '../../../registry/elapsed.ts';
import type { HttpAnswer } from '../../../registry/transport.ts';
import { peerConnector } from './connect.ts';
import { ownerOf } from './owner.ts';
import { PeerIdentity, type PeersConfig } from './peer-identity.ts';
import { PeerLink, type PeerRequest } from './peer-link.ts';

/** What an owner sent that was wrong is not asked of others for so long: a replica that checks itself finds it. Milliseconds. */
const distrustMs = 10 * 60_000;

/** Another replica that can be asked now. */
export interface Peer {
  readonly name: string;
  readonly url: URL;
  send(request: PeerRequest): Promise<HttpAnswer>;
}

/** A body may pause for as long as the owner's upstream lets it wait, and for as long as the owner is there. Milliseconds. */
const bodyIdleMs = 10 * 60_000;
/** Shorter than nginx keeps idle connections (20 s), so that a request seldom meets one being closed. Milliseconds. */
const keepAliveMs = 10_000;

export class Peers {
  readonly #self: string;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #identity: PeerIdentity;
  #config: PeersConfig | undefined;
  #links = new Map<string, PeerLink>();
  #agent: Agent | undefined;
  /** Objects, and until when they are not asked of others. */
  readonly #distrusted = new BoundedMap<string, number>(4096);

  /** `self` is the name of this replica in the list. */
  constructor(self: string, log: Logger, now: () => number = elapsedMs) {
    this.#self = self;
    this.#log = log;
    this.#now = now;
    this.#identity = new PeerIdentity(log);
  }

  /** True when there are others, and this one is in their list. */
  get areConfigured(): boolean {
    return this.#links.size > 0;
  }

  /** Takes on another list of replicas; what is known of those that stay is kept. */
  async configure(config: PeersConfig | undefined): Promise<void> {
    const before = this.#config;
    this.#config = config;
    const replicas = config?.replicas ?? [];
    const isOne = replicas.some(({ name }) => name === this.#self);
    if (!isOne && replicas.length > 0) {
      this.#log.warn({ replica: this.#self }, 'Replica is not in the list; no others are asked');
    }
    const others = isOne ? replicas.filter(({ name }) => name !== this.#self) : [];
    this.#links = new Map(
      others.map((replica) => {
        const known = this.#links.get(replica.name);
        const isSame = known?.replica.host === replica.host && known.replica.port === replica.port;
        return [replica.name, isSame ? known : new PeerLink(replica, this.#now)];
      }),
    );
    const names = (of: PeersConfig | undefined) => [of?.serverName, of?.commonName].join();
    await this.#follow(names(before) !== names(config));
  }

  /** Looks at the certificate files again. Never rejects. */
  refresh(): Promise<void> {
    return this.#follow(false);
  }

  /**
   * The replica that fetches `object` for all who can be reached; undefined: it is this one. While an owner is not
   * there the next in order stands in for it, so that there still is one.
   */
  ownerOf(object: string): Peer | undefined {
    const agent = this.#agent;
    if (agent === undefined || !this.areConfigured) return undefined;
    if ((this.#distrusted.get(object) ?? 0) > this.#now()) return undefined;
    const there = [...this.#links.values()].filter((link) => link.isThere);
    const owner = ownerOf(object, [{ name: this.#self }, ...there.map(({ replica }) => replica)]);
    const link = this.#links.get(owner?.name ?? this.#self);
    return link && { name: link.replica.name, url: link.url, send: (request) => link.send(agent, request) };
  }

  /** Makes `object` be fetched without the others for a while: one of them sent wrong bytes. */
  distrust(object: string): void {
    this.#distrusted.set(object, this.#now() + distrustMs);
  }

  /** Breaks every connection. */
  async destroy(): Promise<void> {
    await this.#agent?.destroy();
  }

  async #follow(namesChanged: boolean): Promise<void> {
    if (this.#config === undefined) return this.#replaceAgent(undefined);
    const filesChanged = await this.#identity.refresh(this.#config);
    const { current } = this.#identity;
    if (current === undefined || !(filesChanged || namesChanged || this.#agent === undefined)) return;
    const agent = new Agent({
      connect: peerConnector(current, this.#config),
      connections: 256,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: keepAliveMs,
      // Its answer begins when its upstream's does; that it is still there is found out by `PeerLink`.
      headersTimeout: 0,
      bodyTimeout: bodyIdleMs,
    });
    this.#replaceAgent(agent);
  }

  /** What is being waited for ends on the old connections. */
  #replaceAgent(agent: Agent | undefined): void {
    const old = this.#agent;
    this.#agent = agent;
    old?.close().catch((error: unknown) => this.#log.warn({ error }, 'Connections failed to close'));
  }
}
