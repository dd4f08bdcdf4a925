/** Whether a containerd has read the configuration that says where it looks for `hosts.toml`: it does so only when it starts. Pure. */
import type { Finding } from '../finding.ts';
import type { PathDecision } from './config-path.ts';

export interface ReadFile {
  readonly path: string;
  readonly mtimeMs?: number;
  /** Who starts containerd writes it right before: it is as old as the process, and was read. */
  readonly generated?: boolean;
}

export interface LivenessFacts {
  /** Every file of the configuration (`ContainerdConfig.files`) and when it was last written, where that is known. */
  readonly configs: readonly ReadFile[];
  /** Undefined: it does not run. */
  readonly processStartedAt: number | undefined;
  /** With the finding of the link, where there is one. */
  readonly pathDecision: PathDecision;
  /** All times in milliseconds since 1970. */
  readonly now: number;
}

export interface Liveness {
  readonly live: boolean;
  /** Empty where it is live, else CamelCase and stable: `NotRunning`, `NotRestarted`, `ClockUnclear` or that of the finding that blocks. */
  readonly reason: string;
  readonly message: string;
}

/** What a start, counted in hundredths of a second since the boot, may be off. */
const resolution = 100;

/** Live: `hosts.toml` is looked for where we think. Whatever cannot be told for certain is not live. */
export function containerdLiveness(facts: LivenessFacts): Liveness {
  const { configs, processStartedAt: started, pathDecision, now } = facts;
  const blocking = pathDecision.findings.find(({ blocks }) => blocks);
  if (blocking !== undefined || pathDecision.inForce === undefined) return notRead(blocking);
  if (started === undefined) return not('NotRunning', 'containerd does not run');
  if (started > now + resolution) return not('ClockUnclear', 'containerd was started in the future');
  const unclear = configs.find(({ mtimeMs }) => mtimeMs === undefined || mtimeMs > now + resolution);
  if (unclear !== undefined) return not('ClockUnclear', `When ${unclear.path} was changed cannot be told`);
  const newer = configs.find((file) => isNewer(file, started));
  if (newer !== undefined)
    return not('NotRestarted', `containerd was started before ${newer.path} was changed: restart it`);
  return { live: true, reason: '', message: '' };
}

/** True for a file that a containerd which was started then may not have read as it is. */
export function isNewer({ generated, mtimeMs = 0 }: ReadFile, started: number): boolean {
  return mtimeMs > started + (generated ? resolution : -resolution);
}

function notRead(finding: Finding | undefined): Liveness {
  if (finding !== undefined) return not(finding.reason, finding.message);
  return not('ConfigPathUnset', 'containerd reads no hosts.toml');
}

function not(reason: string, message: string): Liveness {
  return { live: false, reason, message };
}
