/** The other replicas as one mirror asks them: where its objects lie there, and how much came from there. */
import type { BlobRange } from '../../../registry/blob-range.ts';
import type { BlobAnswer, BlobRequest, BlobSource } from '../../../registry/blob-source.ts';
import { type Manifest, readManifest } from '../../../registry/manifest.ts';
import { discard } from '../../../registry/read-body.ts';
import { UpstreamStatusError } from '../../../registry/upstream-error.ts';
import { upstreamIdentity } from '../../upstream-identity.ts';
import type { BrokerMirror } from '../broker-config.ts';
import type { Peer, Peers } from './peers.ts';
import { refusalOf } from './told.ts';

/** What one replica asks another for. `repository` is as clients write it. */
export interface PeerQuestion {
  readonly method: 'GET' | 'HEAD';
  readonly repository: string;
  /** `blobs/sha256:...`, `manifests/latest`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export interface PeerCounters {
  requests: number;
  bytes: number;
  failures: number;
}

export class MirrorPeers {
  readonly identity: string;
  readonly #peers: Peers;
  readonly #masquerade: string;
  readonly #counters: PeerCounters;

  constructor(peers: Peers, config: BrokerMirror, counters: PeerCounters) {
    this.#peers = peers;
    this.#masquerade = config.masquerade;
    this.#counters = counters;
    this.identity = upstreamIdentity(config.upstream);
  }

  get areConfigured(): boolean {
    return this.#peers.areConfigured;
  }

  /**
   * Who fetches this manifest for all; undefined: this replica. `repository` is as clients write it: were it the upstream's, two
   * replicas with other configurations could each take the other for the owner, and wait for each other.
   */
  ownerOfManifest(repository: string, reference: string): MirrorPeer | undefined {
    return this.#owner(`${repository} ${reference}`);
  }

  /** The owner as a source of a blob; undefined: this replica fetches it for all. */
  blobs(repository: string, digest: string): BlobSource | undefined {
    const owner = this.#owner(digest);
    const distrust = () => this.#peers.distrust(digest);
    return owner && new PeerBlobs(owner, repository, distrust);
  }

  #owner(object: string): MirrorPeer | undefined {
    const peer = this.#peers.ownerOf(object);
    return peer && new MirrorPeer(peer, this.#masquerade, this.identity, this.#counters);
  }
}

/** One other replica, asked for the objects of one mirror. */
export class MirrorPeer {
  readonly #peer: Peer;
  readonly #masquerade: string;
  /** Of the upstream: what is told of another one's tags does not count. */
  readonly identity: string;
  readonly counters: PeerCounters;

  constructor(peer: Peer, masquerade: string, identity: string, counters: PeerCounters) {
    this.#peer = peer;
    this.#masquerade = masquerade;
    this.identity = identity;
    this.counters = counters;
  }

  get name(): string {
    return this.#peer.name;
  }

  /**
   * Returns an answer of 200, 206 or 304. Rejects with `UpstreamStatusError` when the upstream itself refused (nobody else
   * need be asked), with `UpstreamError` for everything else.
   */
  async ask({ repository, path, ...request }: PeerQuestion): Promise<BlobAnswer> {
    this.counters.requests++;
    try {
      // By path and not by Host: connections serve all mirrors, and undici ties them to the name in Host.
      const target = `/v2/${this.#masquerade}/${repository}/${path}`;
      const answer = await this.#peer.send({ ...request, path: target });
      if ([200, 206, 304].includes(answer.status)) return { ...answer, url: this.#peer.url };
      await discard(answer);
      throw refusalOf(answer, this.name, this.identity, Date.now());
    } catch (error) {
      if (!isLastWord(error) && !request.signal.aborted) this.counters.failures++;
      throw error;
    }
  }

  /** A manifest, verified. */
  async manifest(question: PeerQuestion, reference: string): Promise<Manifest> {
    const manifest = await readManifest(await this.ask(question), reference);
    this.counters.bytes += manifest.bytes.length;
    return manifest;
  }
}

/** True when another replica says how the upstream itself refused. */
export function isLastWord(error: unknown): boolean {
  return error instanceof UpstreamStatusError;
}

class PeerBlobs implements BlobSource {
  readonly #owner: MirrorPeer;
  readonly #repository: string;
  readonly distrust: () => void;

  /** `repository` is as clients write it. */
  constructor(owner: MirrorPeer, repository: string, distrust: () => void) {
    this.#owner = owner;
    this.#repository = repository;
    this.distrust = distrust;
  }

  get host(): string {
    return this.#owner.name;
  }

  ask({ digest, authorization, signal }: BlobRequest, range: BlobRange | undefined): Promise<BlobAnswer> {
    const headers = {
      ...(range && { range: `bytes=${range.start}-${range.end}` }),
      ...(authorization !== undefined && { authorization }),
    };
    const path = `blobs/${digest.text}`;
    return this.#owner.ask({ method: 'GET', repository: this.#repository, path, headers, signal });
  }

  received(bytes: number): void {
    this.#owner.counters.bytes += bytes;
  }

  broke(): void {
    this.#owner.counters.failures++;
  }

  hasLastWord(error: unknown): boolean {
    return isLastWord(error);
  }
}
