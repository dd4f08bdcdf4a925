/** One Lease object as a candidate sees and writes it; the elector decides when. */
import type { KubeClient } from './client.ts';
import { ApiError } from './errors.ts';
import type { KubeObject, ObjectKey } from './object.ts';
import type { ResourceType } from './resource-type.ts';

/** The type of `LeaseRecord`'s object. */
export const leaseType: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

interface Lease extends KubeObject {
  spec?: LeaseSpec;
}

export interface LeaseRecordOptions {
  client: KubeClient;
  namespace: string;
  name: string;
  identity: string;
  durationMs: number;
}

/** Reads and writes the lease; remembers what it saw and since when, by the monotonic clock. */
export class LeaseRecord {
  readonly #options: LeaseRecordOptions;
  readonly #key: ObjectKey;
  #seen: Lease | undefined;
  #seenAt = 0;

  constructor(options: LeaseRecordOptions) {
    this.#options = options;
    this.#key = { namespace: options.namespace, name: options.name };
  }

  /**
   * Takes or renews the lease. False: another holds it. Throws what the client throws, and a conflict that comes twice;
   * what is written always carries the resourceVersion of what was read, so two candidates cannot both succeed.
   */
  async hold(signal: AbortSignal): Promise<boolean> {
    // A renewal is one request: nobody but the holder changes a lease, and if somebody did, the write is refused.
    if (!this.#isOurs(this.#seen)) await this.#read(signal);
    if (this.#isAnothers()) return false;
    try {
      await this.#write(this.#next(), signal);
    } catch (error) {
      if (!wasOvertaken(error)) throw error;
      await this.#read(signal);
      if (this.#isAnothers()) return false;
      await this.#write(this.#next(), signal);
    }
    return true;
  }

  /** Gives the lease back so that another need not wait for its end. Does nothing if it is not ours. */
  async release(signal: AbortSignal): Promise<void> {
    try {
      await this.#giveBack(signal);
    } catch (error) {
      // A renewal that was cut off may have been written after all.
      if (!wasOvertaken(error)) throw error;
      await this.#read(signal);
      await this.#giveBack(signal);
    }
  }

  /** True once there was a lease that could be read or written: whoever holds one reckons with the others. */
  get wasSeen(): boolean {
    return this.#seenAt > 0;
  }

  /** Milliseconds until another's lease, unless renewed, has ended; 0 if it is free or ours. */
  get endsInMs(): number {
    const { holderIdentity = '', leaseDurationSeconds } = this.#seen?.spec ?? {};
    if (holderIdentity === '' || holderIdentity === this.#options.identity) return 0;
    const durationMs = (leaseDurationSeconds ?? 0) * 1000 || this.#options.durationMs;
    return Math.max(0, this.#seenAt + durationMs - performance.now());
  }

  async #giveBack(signal: AbortSignal): Promise<void> {
    if (!this.#isOurs(this.#seen)) return;
    await this.#write({ ...this.#seen?.spec, holderIdentity: '', leaseDurationSeconds: 1 }, signal);
  }

  #isOurs(lease: Lease | undefined): boolean {
    return lease?.spec?.holderIdentity === this.#options.identity;
  }

  #isAnothers(): boolean {
    return this.endsInMs > 0;
  }

  async #read(signal: AbortSignal): Promise<void> {
    this.#see(await this.#options.client.getOrUndefined<Lease>(leaseType, this.#key, { signal }));
  }

  async #write(spec: LeaseSpec, signal: AbortSignal): Promise<void> {
    const { client } = this.#options;
    const metadata = this.#seen?.metadata ?? { ...this.#key };
    const lease = { ...this.#seen, apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
    const written =
      this.#seen === undefined
        ? await client.create<Lease>(leaseType, lease, { signal })
        : await client.update<Lease>(leaseType, lease, { signal });
    this.#see(written);
  }

  #see(lease: Lease | undefined): void {
    if (lease?.metadata.resourceVersion !== this.#seen?.metadata.resourceVersion) {
      this.#seenAt = performance.now();
    }
    this.#seen = lease;
  }

  #next(): LeaseSpec {
    const old = this.#seen?.spec;
    const now = microTime(new Date());
    const renewed = this.#isOurs(this.#seen);
    return {
      ...old,
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.ceil(this.#options.durationMs / 1000),
      acquireTime: renewed ? (old?.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (old?.leaseTransitions ?? 0) + (renewed || old === undefined ? 0 : 1),
    };
  }
}

function wasOvertaken(error: unknown): boolean {
  return error instanceof ApiError && (error.conflict || error.alreadyExists || error.notFound);
}

/** `metav1.MicroTime` is parsed with exactly six digits. */
function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}
