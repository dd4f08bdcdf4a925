/** `doctor --cluster`: runs `doctor` in the agents of all nodes, through the API server with the caller's own rights. */
import type { NodeReport } from '../api/node-report.ts';
import { ConfigError } from '../config/problems.ts';
import type { KubeClient } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { errorMessage } from '../observe/error-message.ts';
import { agentSelector } from '../operator/node-reports/node-agents.ts';
import { pods } from '../operator/resource-types.ts';
import { connectCluster } from './connect-cluster.ts';
import { type DoctorFlags, printReport, readReport } from './doctor-output.ts';
import { isWell } from './doctor-report.ts';
import { endOfCommand } from './mirror-flags.ts';
import { needing } from './needing.ts';
import { outputLines } from './output-lines.ts';
import { plainText } from './plain-text.ts';

interface AgentPod extends KubeObject {
  readonly spec?: { readonly nodeName?: string; readonly containers?: readonly { readonly name: string }[] };
  readonly status?: { readonly phase?: string };
}

/** As many as the operator asks. */
const parallel = 50;
const timeoutMs = 15_000;
/** What an agent of hundreds of mirrors has to tell. */
const longestReport = 2 ** 20;

/** Prints each node, by name, once it and those before it have answered, and a summary; false when not everything is in place everywhere. */
export async function doctorCluster(flags: DoctorFlags): Promise<boolean> {
  const signal = endOfCommand({});
  const { client, namespace } = await connectCluster(flags);
  try {
    const agents = await listAgents(client, namespace, signal);
    return await report(askAll(client, agents, signal), flags);
  } finally {
    await client.close();
  }
}

type Outcome = NodeReport | { readonly error: string };

async function listAgents(client: KubeClient, namespace: string, signal: AbortSignal): Promise<AgentPod[]> {
  const { items } = await client
    .listAll<AgentPod>(pods, { namespace, labelSelector: agentSelector, signal })
    .catch(needing(`list pods in namespace ${namespace}`));
  if (items.length > 0) return items.toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
  throw new ConfigError([
    `There is no node agent in namespace ${namespace}: --namespace names the operator’s; without RegistryMirrors there is none, and kubectl describe daemonset tells what keeps pods from being made`,
  ]);
}

function keyOf({ spec, metadata }: AgentPod): string {
  return `${spec?.nodeName ?? ''} ${metadata.name}`;
}

interface Asked {
  readonly pod: AgentPod;
  readonly outcome: Promise<Outcome>;
}

/** Returns what each of them will have answered, in their order. */
function askAll(client: KubeClient, agents: readonly AgentPod[], signal: AbortSignal): readonly Asked[] {
  const answers = agents.map((pod) => ({ pod, ...Promise.withResolvers<Outcome>() }));
  const left = answers.values();
  const worker = async () => {
    for (const { pod, resolve, reject } of left) await ask(client, pod, signal).then(resolve, reject);
  };
  for (let started = 0; started < parallel; started += 1) void worker();
  for (const { promise } of answers) promise.catch(() => undefined);
  return answers.map(({ pod, promise }) => ({ pod, outcome: promise }));
}

async function ask(
  client: KubeClient,
  { metadata, spec, status }: AgentPod,
  signal: AbortSignal,
): Promise<Outcome> {
  if (status?.phase !== 'Running') return { error: `its pod is ${status?.phase ?? 'unknown'}` };
  const { namespace = '', name } = metadata;
  // The agent comes first, beside a foreign mirror-hostess too.
  const container = spec?.containers?.[0]?.name ?? 'node-agent';
  try {
    const command = ['registry-mirror-operator', 'doctor', '--json'];
    const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const process = await client.exec({ pod: { namespace, name }, container, command, signal: within });
    const lines: string[] = [];
    for await (const line of outputLines(process.stdout, longestReport)) lines.push(line);
    const code = await process.exitCode;
    const [text] = lines;
    if (text === undefined) return { error: process.stderr().trim() || `exit code ${code}` };
    return readReport(text);
  } catch (error) {
    signal.throwIfAborted();
    return { error: errorMessage(error) };
  }
}

async function report(asked: readonly Asked[], flags: DoctorFlags): Promise<boolean> {
  let well = 0;
  for (const { pod, outcome: coming } of asked) {
    const outcome = await coming;
    const node = pod.spec?.nodeName ?? '(not scheduled)';
    if ('error' in outcome) {
      const { error } = outcome;
      process.stdout.write(
        flags.json
          ? `${JSON.stringify({ node, pod: pod.metadata.name, error })}\n`
          : `${node}: agent ${pod.metadata.name} does not answer: ${plainText(error)}\n`,
      );
      continue;
    }
    printReport({ ...outcome, node: outcome.node || node }, flags);
    if (isWell(outcome)) well += 1;
  }
  if (!flags.json) process.stdout.write(`${well} of ${asked.length} agents have everything in place\n`);
  return well === asked.length;
}
