import type { FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';
import { pause, pauseUntil } from '../cache/pause.ts';
import { resolveInRoot } from './host-root.ts';
import type { AgentOptions } from './options.ts';
import type { PassTools } from './pass.ts';
import { watchFolder } from './watch-folder.ts';

/** A hint is followed after this many ms, so that a burst (a Secret volume's swap) is one pass and a fight with another writer is bounded. */
const settleTime = 500;

/** Cuts the agent's pause short when a pass is wanted, or when what it reads may have changed. A hint only: where a watch fails, the timer does it. */
export class Hint {
  readonly #watchers: FSWatcher[] = [];
  #changed = Promise.withResolvers<void>();

  watch(options: AgentOptions, tools: PassTools): void {
    for (const folder of new Set(options.watched.map(dirname))) this.#watch(folder, () => true);
    const hosts = resolveHosts(options, tools);
    if (hosts !== undefined) this.#watch(dirname(hosts), (name) => name === basename(hosts));
  }

  give(): void {
    this.#changed.resolve();
  }

  async wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    await pauseUntil(this.#changed.promise, milliseconds, signal);
    this.#changed = Promise.withResolvers();
    await pause(settleTime, signal);
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  #watch(folder: string, concerns: (name: string | null) => boolean): void {
    const watcher = watchFolder(folder, (name) => {
      if (concerns(name)) this.#changed.resolve();
    });
    if (watcher !== undefined) this.#watchers.push(watcher);
  }
}

function resolveHosts(options: AgentOptions, tools: PassTools): string | undefined {
  try {
    return resolveInRoot(tools.files, options.hostRoot, options.hostsFile);
  } catch {
    return undefined;
  }
}
