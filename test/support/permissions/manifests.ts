/** What is shipped: variables of its Deployments and rights of its roles. */
import type { KubeObject } from '../../kubernetes/api-request.ts';
import { helmTemplate } from '../helm.ts';
import { componentNames, kustomizeBuild } from '../kustomize.ts';
import type { Live } from '../operator-world.ts';
import { rightsOf } from './grants.ts';

/** The variables of a Deployment's container that have a value of their own. */
export function deploymentVariables(objects: readonly KubeObject[], name: string): Record<string, string> {
  const found = (objects as Live[]).find(
    ({ kind, metadata }) => kind === 'Deployment' && metadata.name === name,
  );
  const { env } = found.spec.template.spec.containers[0];
  const given = env.filter(({ value }: Live) => value !== undefined);
  return Object.fromEntries(given.map((variable: Live) => [variable.name, variable.value]));
}

/** Every right of every role that base, components or the chart's hooks have. */
export async function shippedRights(): Promise<ReadonlySet<string>> {
  const components = await kustomizeBuild(await componentNames());
  return new Set([...components, ...(await helmTemplate())].flatMap((object) => rightsOf([object])));
}
