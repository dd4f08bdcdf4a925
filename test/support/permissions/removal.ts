/** Takes rights away one at a time, and has the API server itself say whether what was asked is refused then. */
import assert from 'node:assert/strict';
import type { KubeObject } from '../../kubernetes/api-request.ts';
import type { ControlPlane } from '../control-plane.ts';
import { eventually } from '../eventually.ts';
import type { Live } from '../operator-world.ts';
import { type Grant, rightText, withoutRight } from './grants.ts';
import type { AskedRight } from './recorder.ts';

/** A right, and something that was asked for and that it alone allows. */
export interface Witness {
  readonly grant: Grant;
  readonly asked: AskedRight;
}

/** Rejects where a role without the right still allows what was asked. Afterwards the roles are as they were. */
export async function removeInTurn(
  plane: ControlPlane,
  objects: readonly KubeObject[],
  witnesses: readonly Witness[],
): Promise<void> {
  for (const { grant, asked } of witnesses) {
    const role = objects.find((object) => isRoleOf(object, grant));
    assert.ok(role, grant.role);
    const text = rightText(grant);
    assert.ok(await isAllowed(plane, asked), text);
    await plane.apply(withoutRight([role], text)[0] ?? role);
    await eventually(async () => assert.ok(!(await isAllowed(plane, asked)), `allowed without ${text}`));
    await plane.apply(role);
    await eventually(async () => assert.ok(await isAllowed(plane, asked), `refused with ${text}`));
  }
}

function isRoleOf({ kind, metadata }: KubeObject, { role, namespace }: Grant): boolean {
  return `${kind} ${metadata.name}` === role && [undefined, namespace].includes(metadata.namespace);
}

async function isAllowed(plane: ControlPlane, asked: AskedRight): Promise<boolean> {
  const { user, verb, group, namespace, name } = asked;
  const [resource, subresource] = asked.resource.split('/');
  const resourceAttributes = { verb, group, resource, subresource, namespace, name };
  const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: { user: `system:serviceaccount:${user.replace('/', ':')}`, resourceAttributes },
  };
  return (await plane.adminFetch<Live>(path, { method: 'POST', body })).status.allowed;
}
