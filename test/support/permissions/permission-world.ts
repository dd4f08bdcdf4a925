/** An API server that gives service accounts exactly what a choice of manifests grants, and remembers what they asked for. */
import assert from 'node:assert/strict';
import type { ExecutionContext } from 'ava';
import { type KubeObject, StatusError } from '../../kubernetes/api-request.ts';
import { objectPath } from '../../kubernetes/object-path.ts';
import type { ControlPlane } from '../control-plane.ts';
import { eventually } from '../eventually.ts';
import { type OperatorProcess, startOperator } from '../operator-process.ts';
import { type Live, startWorld, type World } from '../operator-world.ts';
import type { PodAccess } from '../pod-access.ts';
import { allows, type Grant, grantsOf, rightText } from './grants.ts';
import { type AskedRight, AuthorizationRecorder } from './recorder.ts';
import { removeInTurn, type Witness } from './removal.ts';

/** Its account. */
export const operator = 'registry-mirror-operator';
const timeout = 60_000;
const kinds = ['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'];

export class PermissionWorld {
  readonly world: World;
  readonly #recorder: AuthorizationRecorder;
  #applied: KubeObject[] = [];
  #grants: readonly Grant[] = [];
  /** Texts of all rights without which something was refused. */
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
    await prepare(world);
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
    this.#recorder.take();
  }

  /** What a pod has with an account of namespace `default` that the manifests made. */
  async podAccess(name: string): Promise<PodAccess> {
    return this.plane.podAccess(await this.#token(name));
  }

  /** The same for a person who has that account's token. */
  async kubeconfig(name: string): Promise<string> {
    return this.plane.kubeconfigFor({ token: await this.#token(name) });
  }

  /** Runs the executable as an account until `use` is over; ends it in good order. */
  async running<T>(
    t: ExecutionContext,
    account: string,
    environment: Record<string, string>,
    use: (process: OperatorProcess) => Promise<T>,
  ): Promise<T> {
    const process = startOperator(await this.podAccess(account), environment);
    try {
      const result = await use(process);
      t.is(await process.stop(), 0, process.log().slice(-2_000));
      return result;
    } catch (error) {
      t.log(process.log().slice(-4_000));
      throw error;
    } finally {
      await process.kill();
    }
  }

  /**
   * Ends a scenario: all that was asked was granted. Each right that alone allowed something is taken away in turn, and that is refused then by the API
   * server.
   */
  async settle(t: ExecutionContext): Promise<void> {
    const asked = distinct(this.#recorder.take()).filter(({ user }) =>
      this.#grants.some((grant) => grant.user === user),
    );
    t.true(asked.length > 0);
    const refused = asked.filter((one) => !this.#grants.some((grant) => allows(grant, one)));
    t.deepEqual(refused.map(askedText), [], 'refused');
    const witnesses = this.#witnesses(asked).filter(({ grant }) => !this.needed.has(rightText(grant)));
    await removeInTurn(this.plane, this.#applied, witnesses);
    for (const { grant } of witnesses) this.needed.add(rightText(grant));
  }

  /** One question for each right that alone allows it. */
  #witnesses(asked: readonly AskedRight[]): readonly Witness[] {
    const byRight = new Map<string, Witness>();
    for (const one of asked) {
      const [grant, ...others] = this.#grants.filter((each) => allows(each, one));
      if (grant !== undefined && others.length === 0) byRight.set(rightText(grant), { grant, asked: one });
    }
    return [...byRight.values()];
  }

  /** What is at a path; throws where nothing is. */
  get(path: string): Promise<Live> {
    return this.world.get(path);
  }

  /** Waits until there is something at this path; returns it. */
  there(path: string): Promise<Live> {
    return eventually(() => this.get(path), { timeout });
  }

  /** Waits until there is nothing at this path. */
  gone(path: string): Promise<void> {
    return eventually(async () => assert.equal(await this.world.find(path), undefined, path), { timeout });
  }

  /** Asserts that an account is refused what a path answers to the admin. */
  async refuses(account: string, path: string): Promise<void> {
    await this.plane.adminFetch(path);
    const token = await this.#token(account);
    await assert.rejects(
      this.plane.adminFetch(path, { token }),
      (error) => error instanceof StatusError && error.code === 403,
      `${account} ${path}`,
    );
  }

  async #token(account: string): Promise<string> {
    const path = `/api/v1/namespaces/default/serviceaccounts/${account}/token`;
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
    return (await this.plane.adminFetch<Live>(path, { method: 'POST', body })).status.token;
  }

  async end(): Promise<void> {
    await this.world.end();
    this.#recorder.close();
  }
}

/** All kinds, two namespaces, and a Secret that is nobody's business here. No controller makes the account `default`. */
async function prepare({ plane }: World): Promise<void> {
  for (const crd of ['imagemaps.mapper.imagerelocation.pivotal.io', 'rewriterules.k8s.osp.tech'])
    await plane.applyCrd(`crds/${crd}.yaml`);
  await plane.applyCrd('test/integration/fixtures/cert-manager-crds.yaml');
  for (const name of ['team', 'imageswap-system'])
    await plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  for (const [kind, name, namespace] of [
    ['Secret', 'foreign', 'team'],
    ['ServiceAccount', 'default', 'default'],
  ] as const)
    await plane.apply({ apiVersion: 'v1', kind, metadata: { name, namespace } });
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

function askedText({ user, verb, group, resource, namespace, name }: AskedRight): string {
  return `${user}: ${verb} ${group === '' ? resource : `${group}/${resource}`} ${namespace}/${name}`;
}

function distinct(asked: readonly AskedRight[]): AskedRight[] {
  return [...new Map(asked.map((one) => [askedText(one), one])).values()];
}
