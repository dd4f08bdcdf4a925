/** Times pulls. */
import { errorMessage } from '../../src/observe/error-message.ts';
import { type Measurement, type Wiring, wirings } from './figures.ts';
import type { Runtime } from './runtimes.ts';
import type { Scenario } from './scenarios.ts';
import type { World } from './world.ts';

export interface Run {
  readonly rounds: number;
  /** Seconds. */
  readonly limit: number;
  readonly progress: (message: string) => void;
  readonly signal: AbortSignal;
}

/** Every runtime with every wiring in turn, so that other load on the machine meets all. What failed or took very long is not tried again. */
export async function measure(world: World, scenario: Scenario, run: Run): Promise<Measurement[]> {
  const all: Measurement[] = [];
  // What was not wired so does not know of the moment: a Service address is asked as in the scenario that lasts.
  const wanted = wirings.filter((wiring) => !(scenario.atOnce && wiring === 'service'));
  await world.heal();
  if (!scenario.atOnce) await world.enter(scenario);
  for (let round = 0; round < run.rounds; round += 1) {
    for (const runtime of world.runtimes) {
      for (const wiring of wanted) {
        run.signal.throwIfAborted();
        if (all.some((each) => isHopeless(each) && each.runtime === runtime.name && each.wiring === wiring))
          continue;
        if (scenario.atOnce) {
          await world.heal();
          await world.enter(scenario);
        }
        const before = world.served();
        const taken = { ...(await time(runtime, wiring, run)), served: world.served() - before };
        run.progress(
          `${scenario.title}: ${runtime.name}, ${wiring}: ${taken.seconds.toFixed(2)} s, ${taken.served} requests to the mirror ${taken.failure ?? ''}`,
        );
        all.push({ round, scenario: scenario.name, runtime: runtime.name, wiring, ...taken });
        await runtime.clear(wiring).catch(() => undefined);
      }
    }
  }
  return all;
}

/** In seconds: longer than anything but the noise of the machine could make of what it is. */
const veryLong = 10;

function isHopeless({ seconds, failure }: Measurement): boolean {
  return failure !== undefined || seconds > veryLong;
}

async function time(
  runtime: Runtime,
  wiring: Wiring,
  { limit, signal }: Run,
): Promise<Pick<Measurement, 'seconds' | 'failure'>> {
  const startedAt = performance.now();
  const late = AbortSignal.timeout(limit * 1000);
  const seconds = () => (performance.now() - startedAt) / 1000;
  try {
    await runtime.pull(wiring, AbortSignal.any([late, signal]));
    return { seconds: seconds() };
  } catch (error) {
    const failure = late.aborted ? 'given up' : errorMessage(error).slice(-500);
    return { seconds: seconds(), failure };
  }
}
