/** What the broker knows of the cache volume, for `/status` and metrics: types only. Counts are since the process started. */

/** Why nothing can be kept; `Ok`: it can. */
export type VolumeReason = 'Ok' | 'Full' | 'ReadOnly' | 'IoError';

export interface StoreReport {
  readonly volume: VolumeReport;
  /** In the order of the configuration. */
  readonly mirrors: readonly StoreMirrorReport[];
}

export interface VolumeReport {
  readonly sizeBytes: number;
  /** What the broker may still write; blocks kept for root are not in it. */
  readonly freeBytes: number;
  /** Below this the files that were used longest ago are removed. */
  readonly floorBytes: number;
  /** False: hits go on, misses pass through and are not kept. */
  readonly writable: boolean;
  readonly reason: VolumeReason;
  /** ISO 8601: when the reason became this one. */
  readonly since: string;
  /** For people; absent while writable. */
  readonly message?: string;
}

export interface StoreMirrorReport {
  readonly name: string;
  /** Of the last walk through its folder, at most some minutes old, with what came in since. */
  readonly bytes: number;
  /** Cache files: a manifest, a tag's answer or a slice of a blob is one. */
  readonly files: number;
  /** nginx's `max_size`. */
  readonly limitBytes: number;
  /** By the broker, because room was short; how much nginx removes within its bound it does not tell. */
  readonly evicted: {
    readonly files: number;
    readonly bytes: number;
    /**
     * For how long the most recently used of what had to go in the last hour, by nginx or us, had not been used, in seconds. Small: the
     * cache is too small. Absent: nothing had to go.
     */
    readonly youngestSeconds?: number;
  };
  readonly purges: { readonly requests: number; readonly files: number; readonly bytes: number };
  readonly scrub: {
    /** Blobs compared with their digests. */
    readonly checked: number;
    readonly bytes: number;
    readonly corrupt: number;
    /** `at` is ISO 8601. */
    readonly lastCorrupt?: { readonly digest: string; readonly at: string };
  };
}
