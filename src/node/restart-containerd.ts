/**
 * Restarts containerd, once a person (`spec.nodes.containerd: configureAndRestart`) and the operator have said so: SIGTERM to the process that
 * systemd runs as containerd.service, and only where it is certain that systemd starts it again. Containers live on in their shims meanwhile.
 */
import { join } from 'node:path';
import type { HostFiles } from './containerd/host-files.ts';
import { unless } from './files.ts';
import type { Finding } from './finding.ts';
import { type FoundProcess, findProcesses, type ProcessTools } from './signal.ts';
import { readUnit, type SystemdUnit, unitFolders } from './systemd-unit.ts';

export interface RestartTools extends ProcessTools, HostFiles {
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** `pid`: whom the signal was sent to. Without it the finding says why nobody. */
export interface RestartOutcome {
  readonly pid?: number;
  readonly findings: readonly Finding[];
}

const unitName = 'containerd.service';

/** In seconds: systemd counts the starts of ten (DefaultLimitIntervalSec) and gives up after five. */
const youngestRestarted = 10;

/** Never throws. */
export function restartContainerd(tools: RestartTools): RestartOutcome {
  try {
    const decision = decideRestart({
      unit: readUnit(unitName, tools),
      bound: boundUnits(tools),
      processes: findProcesses('containerd', tools).map((found) => ({
        ...found,
        cgroup: cgroupOf(found, tools),
      })),
      now: tools.now(),
    });
    if ('why' in decision) return { findings: [cannotRestart(decision.why)] };
    tools.kill(decision.pid, 'SIGTERM');
    return { pid: decision.pid, findings: [] };
  } catch (error) {
    return { findings: [cannotRestart(error instanceof Error ? error.message : String(error))] };
  }
}

export interface RestartFacts {
  readonly unit: SystemdUnit | undefined;
  /** Units that systemd stops, or starts anew, when containerd ends. */
  readonly bound: readonly string[];
  /** All that are named containerd; `cgroup`: the path that systemd put it in, seen from wherever the agent is. */
  readonly processes: readonly (Pick<FoundProcess, 'pid' | 'parent' | 'age'> & {
    readonly cgroup: string | undefined;
  })[];
  readonly now: number;
}

/** Pure. Returns the process that may be ended, or why none may. */
export function decideRestart(facts: RestartFacts): { readonly pid: number } | { readonly why: string } {
  const { unit, bound, processes, now } = facts;
  if (unit === undefined) return { why: `systemd has no ${unitName} that can be read on this node` };
  const why = whyNotAgain(unit);
  if (why !== undefined) return { why };
  if (bound.length > 0)
    return {
      why: `${bound.join(', ')} would be stopped or started anew with it (BindsTo=, Requires=, Requisite=, PartOf=)`,
    };
  const slice = unit.values('Service.Slice').at(-1) ?? 'system.slice';
  const [process, ...others] = processes.filter(({ cgroup }) => cgroup === `/${slice}/${unitName}`);
  if (process === undefined || others.length > 0 || process.parent !== 1)
    return {
      why: `no process is certain to be that of ${unitName}: it is part of another program, or does not run`,
    };
  if (process.age < youngestRestarted) return { why: 'it has just begun' };
  const began = now - process.age * 1000;
  if (unit.files.some(({ state: { mtimeMs = Number.POSITIVE_INFINITY } }) => mtimeMs >= began))
    return { why: `${unitName} was changed since it was started: systemd may know another version of it` };
  return { pid: process.pid };
}

/** Actions on the whole system that systemd may take when a unit ends. */
const systemActions = ['SuccessAction', 'FailureAction', 'StartLimitAction'];

/** Why systemd may not start it again, or do more than that. */
function whyNotAgain({ values }: SystemdUnit): string | undefined {
  if (values('Service.Restart').at(-1) !== 'always')
    return `${unitName} has no Restart=always: nobody would start it again`;
  if (values('Service.RestartPreventExitStatus').length > 0)
    return `${unitName} has RestartPreventExitStatus=: it may not be started again`;
  // StartLimitAction stood in the other section once.
  const actions = systemActions.flatMap((key) => [...values(`Unit.${key}`), ...values(`Service.${key}`)]);
  const action = actions.find((each) => each !== 'none');
  return action && `${unitName} has an action for the whole system (${action}) when it ends`;
}

/** In the hierarchy of systemd; what leads up from the agent's own cgroup namespace is left out. */
function cgroupOf({ pid }: FoundProcess, { files, procFolder }: ProcessTools): string | undefined {
  const text = unless(['ENOENT', 'ESRCH'], () =>
    files.readFileSync(join(procFolder, String(pid), 'cgroup'), 'utf8'),
  );
  const path = /^(?:0:|\d+:name=systemd):(\/.*)$/m.exec(legacyFirst(text ?? ''))?.[1];
  return path?.replace(/^(?:\/\.\.)+(?=\/)/, '');
}

/** A machine with both has systemd's own tree in the named one. */
function legacyFirst(text: string): string {
  return text
    .split('\n')
    .sort((one, other) => Number(other.includes(':name=systemd:')) - Number(one.includes(':name=systemd:')))
    .join('\n');
}

/** What says in a unit that it ends, or is started anew, with another one. Docker's packages had one until 20.10. */
const binding = ['BindsTo', 'Requires', 'Requisite', 'PartOf'];
/** Of which pods take no notice. */
const mayRestart = ['kubelet.service'];

function boundUnits(host: HostFiles): string[] {
  const names = unitFolders
    .flatMap((folder) => host.list(folder))
    .filter((name) => name.endsWith('.service'));
  return [...new Set(names)].filter((name) => {
    if (mayRestart.includes(name)) return false;
    const unit = readUnit(name, host);
    const targets = binding.flatMap((how) => unit?.values(`Unit.${how}`) ?? []);
    return targets.some((each) => each.split(/\s+/).includes(unitName));
  });
}

function cannotRestart(why: string): Finding {
  const message = `containerd is not restarted: ${why}. Restart it by hand: it reads its configuration only when it starts`;
  return { reason: 'CannotRestart', message, blocks: true };
}
