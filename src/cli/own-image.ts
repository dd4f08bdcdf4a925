/** The image that this operator runs from, read from its own pod: what it makes pods of where no variable says it. */
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError } from '../config/problems.ts';
import { backoffMs } from '../kube/backoff.ts';
import type { KubeClient } from '../kube/client.ts';
import { ApiError } from '../kube/errors.ts';
import type { KubeObject, ObjectKey } from '../kube/object.ts';
import { errorMessage, type Logger } from '../observe/log.ts';
import { pods } from '../operator/resource-types.ts';

interface Pod extends KubeObject {
  readonly spec: { readonly containers: readonly { readonly name: string; readonly image: string }[] };
}

export interface OwnImageOptions {
  readonly client: KubeClient;
  /** The name that the image was built with: taken where we may not read pods, as with the RBAC of the operator before this one. */
  readonly builtAs?: string | undefined;
  /** Upper bound of the pause before it is tried again. */
  readonly maxPauseMs: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** For how long nobody is believed who refuses it, in milliseconds. */
  readonly refusedMs?: number;
}

/** For so long rights may be on their way. Milliseconds. */
const defaultRefusedMs = 60_000;

const unread = 'OPERATOR_IMAGE is not set and our pod could not be read; trying again';
/** Where our image was given no name when it was built either. */
const unknown =
  'Nothing is made: our pod may not be read, so which image pods are to run from is not known; allow this account to list pods, or set OPERATOR_IMAGE';

/** Its container in our manifests. */
const ownContainer = 'operator';

/**
 * Returns the image as the pod's spec has it; undefined once `signal` is aborted. Asks until the API server answers, and for a minute where it
 * refuses: rights may come later than we do. Throws `ConfigError` for a pod that is not there or does not tell which of its images it is.
 */
export async function readOwnImage(pod: ObjectKey, options: OwnImageOptions): Promise<string | undefined> {
  const { builtAs, maxPauseMs, logger, signal, refusedMs = defaultRefusedMs } = options;
  let refusedSince: number | undefined;
  let toldBefore = '';
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      return imageOf(await readPod(pod, options), `${pod.namespace}/${pod.name}`);
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      const isRefused = error instanceof ApiError && error.forbidden;
      refusedSince = isRefused ? (refusedSince ?? performance.now()) : undefined;
      const leftMs = refusedSince === undefined ? Infinity : refusedSince + refusedMs - performance.now();
      const isBelieved = leftMs <= 0;
      if (isBelieved && builtAs !== undefined) {
        logger.warn(
          { image: builtAs },
          'Our pod may not be read: pods run from the image that ours was built as',
        );
        return builtAs;
      }
      const told = `${isBelieved} ${errorMessage(error)}`;
      if (told !== toldBefore && !signal.aborted) logger.warn({ error, pod }, isBelieved ? unknown : unread);
      toldBefore = told;
      const backoff = backoffMs(failures, { baseMs: 200, maxMs: maxPauseMs });
      const pauseMs = isBelieved ? backoff : Math.min(backoff, leftMs);
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
  return undefined;
}

/** By a list, to which the operator has the right already. */
async function readPod(
  { namespace, name }: ObjectKey,
  { client, signal }: OwnImageOptions,
): Promise<Pod | undefined> {
  const { items } = await client.list<Pod>(pods, {
    namespace,
    fieldSelector: `metadata.name=${name}`,
    signal,
  });
  return items[0];
}

/** Others may have been put beside ours: its name tells it, or that it is the only one. */
function imageOf(pod: Pod | undefined, name: string): string {
  const expected = 'OPERATOR_IMAGE: expected the image of this operator, or a pod to read it from';
  if (pod === undefined) throw new ConfigError([`${expected}, and there is no pod ${name}`]);
  const { containers } = pod.spec;
  const only = containers.length === 1 ? containers[0] : undefined;
  const image = (containers.find((container) => container.name === ownContainer) ?? only)?.image;
  if (image === undefined)
    throw new ConfigError([
      `${expected}, and pod ${name} has no container ${ownContainer} and more than one`,
    ]);
  return image;
}
