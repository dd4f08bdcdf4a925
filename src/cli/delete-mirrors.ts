/** Deletes every RegistryMirror and waits until the operator has let go of them, which it does when their nodes are restored. */
import { setTimeout as delay } from 'node:timers/promises';
import { findCondition, restoringReason } from '../api/conditions.ts';
import type { RegistryMirrorStatus } from '../api/registry-mirror.ts';
import type { KubeClient } from '../kube/client.ts';
import { ApiError, isUnavailable } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import { errorMessage } from '../observe/error-message.ts';
import { registryMirrors } from '../operator/resource-types.ts';
import { needing } from './needing.ts';

export interface DeleteMirrorsOptions {
  readonly client: KubeClient;
  readonly timeoutMs: number;
  /** Only names what would be deleted. */
  readonly dryRun: boolean;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
  readonly pauseMs?: number;
}

interface Mirror extends KubeObject {
  readonly status?: RegistryMirrorStatus;
}

const resource = `registrymirrors.${registryMirrors.group}`;

/**
 * Prints a line for each mirror when it is deleted, when its restoration comes on, and when it is gone. Mirrors that somebody makes meanwhile are
 * deleted too. Returns false, with a line for each mirror that is left, when the time is over. Throws what the API server refuses.
 */
export async function deleteMirrors(options: DeleteMirrorsOptions): Promise<boolean> {
  const { timeoutMs, dryRun, print, signal, pauseMs = 2_000 } = options;
  const deadline = Date.now() + timeoutMs;
  const told = new Map<string, string>();
  for (;;) {
    const mirrors = await currentMirrors(options, deadline);
    for (const line of news(mirrors, told))
      print(dryRun ? line.replace(/: .*/s, ': would be deleted') : line);
    if (dryRun) return true;
    if (mirrors.length === 0) {
      print('No RegistryMirror is left');
      return true;
    }
    for (const mirror of mirrors) if (!isGoing(mirror)) await deleteMirror(options, mirror, deadline);
    if (Date.now() >= deadline) {
      for (const mirror of mirrors) print(`${mirror.metadata.name}: still there; ${obstacle(mirror)}`);
      return false;
    }
    await delay(Math.min(pauseMs, Math.max(0, deadline - Date.now())), undefined, { signal });
  }
}

/** Lines for what changed since they were last looked at; `told` is brought up to date. */
function news(mirrors: readonly Mirror[], told: Map<string, string>): string[] {
  const now = new Map(mirrors.map((mirror) => [mirror.metadata.name, progress(mirror)]));
  const gone = [...told.keys()].filter((name) => !now.has(name)).map((name) => `${name}: gone`);
  const changed = [...now].filter(([name, text]) => told.get(name) !== text);
  told.clear();
  for (const [name, text] of now) told.set(name, text);
  return [...gone, ...changed.map(([name, text]) => `${name}: ${text}`)];
}

function progress(mirror: Mirror): string {
  if (!isGoing(mirror)) return 'deleting';
  return restoration(mirror) ?? 'being deleted';
}

function restoration({ status }: Mirror): string | undefined {
  const found = findCondition(status?.conditions, 'NodesWired');
  return found?.reason === restoringReason ? found.message : undefined;
}

function obstacle(mirror: Mirror): string {
  const finalizers = (mirror.metadata.finalizers ?? []).join(', ');
  const held = finalizers === '' ? 'nothing holds it' : `held by ${finalizers}`;
  return [restoration(mirror), `${held}; is the operator running?`].filter(Boolean).join('; ');
}

function isGoing({ metadata }: Mirror): boolean {
  return metadata.deletionTimestamp !== undefined;
}

/** None where the API server does not know the kind. */
function currentMirrors(options: DeleteMirrorsOptions, deadline: number): Promise<Mirror[]> {
  const { client, signal } = options;
  return patiently(options, deadline, async () => {
    try {
      return (await client.listAll<Mirror>(registryMirrors, { signal })).items;
    } catch (error) {
      if (error instanceof ApiError && error.notFound) return [];
      return needing(`list ${resource}`)(error);
    }
  });
}

async function deleteMirror(
  options: DeleteMirrorsOptions,
  { metadata }: Mirror,
  deadline: number,
): Promise<void> {
  const { client, signal } = options;
  const right = `delete ${resource}`;
  await patiently(options, deadline, () =>
    client
      .delete(registryMirrors, { name: metadata.name }, { propagationPolicy: 'Background', signal })
      .catch(needing(right)),
  );
}

/** Tries again while the API server is away or has too much to do. */
async function patiently<T>(
  { print, signal, pauseMs = 2_000 }: DeleteMirrorsOptions,
  deadline: number,
  call: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isUnavailable(error) || Date.now() >= deadline) throw error;
      print(`Trying again: ${errorMessage(error)}`);
      await delay(pauseMs, undefined, { signal });
    }
  }
}
