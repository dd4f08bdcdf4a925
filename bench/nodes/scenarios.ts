/** What is measured: what has happened to the mirror, its Service or the agent before a pull begins. */
import type { ServiceState } from './service.ts';

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly service: ServiceState;
  /** The mirror has nothing, and what would fetch it is gone: it answers with 503. */
  readonly failing?: boolean;
  /** The node's agent is killed. */
  readonly agentKilled?: boolean;
  /** The pull begins at that very moment: nobody can know yet. */
  readonly atOnce?: boolean;
}

export const scenarios: readonly Scenario[] = [
  { name: 'healthy', title: 'healthy', service: 'healthy' },
  { name: 'refused', title: 'mirror refuses connections', service: 'refused' },
  { name: 'lost', title: 'black hole: packets vanish', service: 'lost' },
  { name: 'hangs', title: 'mirror takes connections, nothing comes', service: 'hangs' },
  { name: 'failing', title: 'mirror answers 503', service: 'healthy', failing: true },
  { name: 'slow', title: 'mirror slow: each answer 3 s late', service: 'slow' },
  { name: 'agent', title: 'agent killed (SIGKILL)', service: 'healthy', agentKilled: true },
  { name: 'unreachable', title: 'no route to the Service address', service: 'unreachable' },
  { name: 'lost-at-once', title: 'black hole, since this moment', service: 'lost', atOnce: true },
  { name: 'hangs-at-once', title: 'nothing comes, since this moment', service: 'hangs', atOnce: true },
];

/** Those of the options; throws for a name that is none. */
export function chosen(only: readonly string[]): readonly Scenario[] {
  const unknown = only.find((name) => !scenarios.some((each) => each.name === name));
  if (unknown !== undefined)
    throw new Error(
      `--only: no scenario "${unknown}"; there are ${scenarios.map(({ name }) => name).join(', ')}`,
    );
  return only.length === 0 ? scenarios : scenarios.filter(({ name }) => only.includes(name));
}
