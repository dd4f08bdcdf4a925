/** Stands in for the job controller and the kubelet: runs the command of every Job with the rights of its service account. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { startCommand } from './command.ts';
import type { ControlPlane } from './control-plane.ts';
import type { Live } from './operator-world.ts';

export interface JobRun {
  readonly name: string;
  readonly args: readonly string[];
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs until the test ends; the list grows with each Job that has ended. */
export function runJobs(t: ExecutionContext, plane: ControlPlane, namespace: string): readonly JobRun[] {
  const runs: JobRun[] = [];
  const begun = new Set<string>();
  let stopped = false;
  t.teardown(() => {
    stopped = true;
  });
  void (async () => {
    while (!stopped) {
      const { items } = await list(plane, namespace);
      for (const job of items.filter(({ metadata }: Live) => !begun.has(metadata.uid))) {
        begun.add(job.metadata.uid);
        void run(t, plane, job).then((ended) => runs.push(ended));
      }
      await delay(100);
    }
  })();
  return runs;
}

function list(plane: ControlPlane, namespace: string): Promise<Live> {
  return plane.adminFetch<Live>(`/apis/batch/v1/namespaces/${namespace}/jobs`).catch(() => ({ items: [] }));
}

async function run(t: ExecutionContext, plane: ControlPlane, job: Live): Promise<JobRun> {
  const { name, namespace } = job.metadata;
  const { serviceAccountName, containers } = job.spec.template.spec;
  // As the kubelet would mount it: the account must be there, and is not made here.
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccountName}/token`;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const { status } = await plane.adminFetch<Live>(path, { method: 'POST', body });
  const { args } = containers[0];
  const access = await plane.podAccess(status.token);
  const ended = await startCommand(t, args, { NAMESPACE: namespace }, access).ended;
  await report(plane, job, ended.code === 0);
  return { name, args, ...ended };
}

async function report(plane: ControlPlane, { metadata, spec }: Live, succeeded: boolean): Promise<void> {
  const now = new Date().toISOString().replace(/\.\d+Z/, 'Z');
  const condition = (type: string) => ({ type, status: 'True', lastTransitionTime: now, lastProbeTime: now });
  const status = succeeded
    ? {
        succeeded: 1,
        completionTime: now,
        conditions: [condition('SuccessCriteriaMet'), condition('Complete')],
      }
    : { failed: spec.backoffLimit + 1, conditions: [condition('FailureTarget'), condition('Failed')] };
  await plane.adminFetch(`/apis/batch/v1/namespaces/${metadata.namespace}/jobs/${metadata.name}/status`, {
    method: 'PATCH',
    contentType: 'application/merge-patch+json',
    body: { status: { startTime: now, ...status } },
  });
}
