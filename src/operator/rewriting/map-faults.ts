/** Tells what is wrong with imageswap's map, once each: in Warning events of its ConfigMap, and in the log. */
import type { EventRecorder } from '../../kube/events.ts';
import type { Logger } from '../../observe/log.ts';
import type { RuleWatch } from '../../rewriting/rule-watch.ts';
import { faultsToTell, type RuleFault, ruleFaults } from '../../rewriting/told-faults.ts';
import { eachOf } from '../polling/rounds.ts';

export interface MapFaultsOptions {
  readonly rules: Pick<RuleWatch, 'table' | 'imageswapMap'>;
  readonly events: Pick<EventRecorder, 'warning'>;
  readonly logger: Logger;
}

const parallel = 4;

export class MapFaults {
  readonly #options: MapFaultsOptions;
  #told: readonly RuleFault[] = [];
  #more = 0;

  constructor(options: MapFaultsOptions) {
    this.#options = options;
  }

  /** Tells what was not told. Of a map that is read from a file only the log is written: there is no object for events. */
  async reconcile(signal: AbortSignal): Promise<undefined> {
    const { rules, logger } = this.#options;
    const { tell, told, more } = faultsToTell(this.#told, ruleFaults(rules.table));
    const isMoreNews = more > 0 && more !== this.#more;
    this.#told = told;
    this.#more = more;
    for (const { message } of tell) logger.warn({ fault: message }, 'The imageswap map has a fault');
    if (isMoreNews) logger.warn({ faults: more }, 'The imageswap map has more faults');
    const messages = tell.map(({ message }) => message);
    await this.#warn(isMoreNews ? [...messages, moreFaults(more)] : messages, signal);
  }

  /** A fault that comes back is told again: the state of the map in which it was found is part of the cause. */
  async #warn(messages: readonly string[], signal: AbortSignal): Promise<void> {
    const { rules, events } = this.#options;
    const map = rules.imageswapMap;
    if (map === undefined) return;
    const occurrence = map.metadata.resourceVersion ?? '';
    await eachOf(messages, parallel, async (message) => {
      if (!signal.aborted) await events.warning(map, 'MapFault', message, { occurrence });
    });
  }
}

function moreFaults(more: number): string {
  return `${more} more faults; registry-mirror-operator rewrite --imageswap-maps FILE --explain IMAGE lists them all`;
}
