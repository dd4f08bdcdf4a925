/** What went through the forwarder, from the line nginx logs at the end of each connection (`log_format connections`). */

/** Since the agent's start. */
export interface ConnectionCounts {
  /** Connections that reached the mirror. */
  readonly connections: number;
  /** Those that did not: nginx could not connect, or refused the mirror's certificate. */
  readonly failed: number;
  readonly bytesToClients: number;
  readonly bytesFromClients: number;
  /** When the last one that reached the mirror ended, in milliseconds since 1970. */
  readonly lastUsed?: number;
}

const none: ConnectionCounts = { connections: 0, failed: 0, bytesToClients: 0, bytesFromClients: 0 };

export class ConnectionTotals {
  readonly #now: () => number;
  readonly #counts = new Map<string, ConnectionCounts>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  of(mirror: string): ConnectionCounts {
    return this.#counts.get(mirror) ?? none;
  }

  /** Takes a line without its newline and returns the mirror of a connection that did not reach it; what is no line of ours is passed over. */
  add(line: string): string | undefined {
    const [, mirror, status, sent, received] = /^([\w.-]+)\t(\d{3})\t(\d+)\t(\d+)$/.exec(line) ?? [];
    if (mirror === undefined) return undefined;
    const before = this.of(mirror);
    const reached = status === '200' ? 1 : 0;
    this.#counts.set(mirror, {
      connections: before.connections + reached,
      failed: before.failed + 1 - reached,
      bytesToClients: before.bytesToClients + Number(sent),
      bytesFromClients: before.bytesFromClients + Number(received),
      ...(before.lastUsed !== undefined && { lastUsed: before.lastUsed }),
      ...(reached === 1 && { lastUsed: this.#now() }),
    });
    return reached === 1 ? undefined : mirror;
  }

  /** Forgets all mirrors but these. */
  keep(mirrors: readonly string[]): void {
    for (const mirror of this.#counts.keys()) if (!mirrors.includes(mirror)) this.#counts.delete(mirror);
  }
}
