/** An API server that gives service accounts exactly what a choice of manifests grants, and remembers what they asked for. */
import assert from 'node:assert/strict';
import type { ExecutionContext } from 'ava';
import { type KubeObject, StatusError } from '../../kubernetes/api-request.ts';
import { objectPath } from '../../kubernetes/object-path.ts';
import type { ControlPlane } from '../control-plane.ts';
import { startOperator } from '../operator-process.ts';
import { type Live, startWorld, type World } from '../operator-world.ts';
import { allows, type Grant, grantsOf, grantText } from './grants.ts';
import { type AskedRight, AuthorizationRecorder } from './recorder.ts';

const kinds = ['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'];

export class PermissionWorld {
  readonly world: World;
  readonly #recorder: AuthorizationRecorder;
  #applied: KubeObject[] = [];
  #grants: readonly Grant[] = [];
  /** Texts of all rights that were ever granted here, and of those without which something would have been refused. */
  readonly granted = new Set<string>();
  readonly needed = new Set<string>();

  private constructor(world: World, recorder: AuthorizationRecorder) {
    this.world = world;
    this.#recorder = recorder;
  }

  static async start(): Promise<PermissionWorld> {
    const recorder = await AuthorizationRecorder.start();
    const { authorizationMode, apiServerFlags } = recorder.options;
    const world = await startWorld({
      authorizationMode,
      apiServerFlags: [
        ...apiServerFlags,
        // Whoever sets blockOwnerDeletion must then be allowed to change the owner's finalizers.
        '--enable-admission-plugins=MutatingAdmissionPolicy,PodSecurity,OwnerReferencesPermissionEnforcement',
      ],
    });
    return new PermissionWorld(world, recorder);
  }

  get plane(): ControlPlane {
    return this.world.plane;
  }

  /** Makes these manifests' accounts and roles the only ones, and forgets what was asked. */
  async use(objects: readonly KubeObject[]): Promise<void> {
    const wanted = objects.filter(({ kind }) => kinds.includes(kind));
    for (const object of wanted) await this.plane.apply(object);
    for (const object of this.#applied.filter((each) => !wanted.some((other) => isSame(each, other))))
      await this.plane.adminFetch(await pathOf(this.plane, object), { method: 'DELETE' });
    this.#applied = wanted;
    this.#grants = grantsOf(wanted);
    for (const grant of this.#grants) this.granted.add(grantText(grant));
    this.#recorder.take();
  }

  /** A kubeconfig of an account that the manifests made. */
  async kubeconfig(name: string, namespace = 'default'): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
    const { status } = await this.plane.adminFetch<Live>(path, { method: 'POST', body });
    return this.plane.kubeconfigFor({ token: status.token });
  }

  /** Runs the executable as an account until `use` is over; ends it in good order. */
  async running(
    t: ExecutionContext,
    account: string,
    environment: Record<string, string>,
    use: () => Promise<unknown>,
    args: readonly string[] = [],
  ): Promise<void> {
    const process = startOperator(await this.kubeconfig(account), environment, args);
    try {
      await use();
      t.is(await process.stop(), 0, process.log().slice(-2_000));
    } catch (error) {
      t.log(process.log().slice(-4_000));
      throw error;
    } finally {
      await process.kill();
    }
  }

  /** Ends a scenario: all that was asked was granted. Remembers which grants that took. */
  settle(t: ExecutionContext): void {
    const asked = distinct(this.#recorder.take()).filter(({ user }) =>
      this.#grants.some((grant) => grant.user === user),
    );
    t.true(asked.length > 0);
    const refused = asked.filter((one) => !this.#grants.some((grant) => allows(grant, one)));
    t.deepEqual(refused.map(rightText), [], 'refused');
    for (const one of asked) {
      const [grant, ...others] = this.#grants.filter((each) => allows(each, one));
      if (grant !== undefined && others.length === 0) this.needed.add(grantText(grant));
    }
  }

  /** Asserts that an account is refused what a path answers to the admin. */
  async refuses(account: string, path: string): Promise<void> {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
    const { status } = await this.plane.adminFetch<Live>(
      `/api/v1/namespaces/default/serviceaccounts/${account}/token`,
      { method: 'POST', body },
    );
    await this.plane.adminFetch(path);
    await assert.rejects(
      this.plane.adminFetch(path, { token: status.token }),
      (error) => error instanceof StatusError && error.code === 403,
      `${account} ${path}`,
    );
  }

  async end(): Promise<void> {
    await this.world.end();
    this.#recorder.close();
  }
}

function pathOf(plane: ControlPlane, object: KubeObject): Promise<string> {
  return objectPath(object, (root) => plane.adminFetch(root));
}

function isSame(one: KubeObject, other: KubeObject): boolean {
  return (
    one.kind === other.kind &&
    one.metadata.name === other.metadata.name &&
    one.metadata.namespace === other.metadata.namespace
  );
}

function rightText({ user, verb, group, resource, namespace, name }: AskedRight): string {
  return `${user}: ${verb} ${group === '' ? resource : `${group}/${resource}`} ${namespace}/${name}`;
}

function distinct(asked: readonly AskedRight[]): AskedRight[] {
  return [...new Map(asked.map((one) => [rightText(one), one])).values()];
}
