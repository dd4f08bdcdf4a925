/** What the roles of manifests grant to service accounts, taken apart into single rights. Pure. */
import type { KubeObject } from '../../kubernetes/api-request.ts';
import type { Live } from '../operator-world.ts';
import type { AskedRight } from './recorder.ts';

/** One verb for one resource, perhaps for one name. Empty: any namespace, any name. */
export interface Grant extends AskedRight {
  /** Kind and name of the role. */
  readonly role: string;
}

/** All rights that bindings among `objects` give to service accounts. Throws for wildcards: nobody can say whether those are used. */
export function grantsOf(objects: readonly KubeObject[]): Grant[] {
  const bindings = objects.filter(({ kind }) => /^(Cluster)?RoleBinding$/.test(kind)) as Live[];
  return bindings.flatMap((binding) => {
    const { kind, name } = binding.roleRef;
    const role = objects.find((object) => object.kind === kind && isIn(object, name, binding)) as Live;
    if (role === undefined)
      throw new Error(`${binding.kind} ${binding.metadata.name}: there is no ${kind} ${name}`);
    const namespace = binding.kind === 'RoleBinding' ? binding.metadata.namespace : '';
    return binding.subjects.flatMap((subject: Live) => {
      const user = `${subject.namespace}/${subject.name}`;
      return role.rules.flatMap((rule: Live) =>
        rights(rule).map((right) => ({ ...right, user, namespace, role: `${kind} ${name}` })),
      );
    });
  });
}

/** True when the grant allows what was asked. */
export function allows(grant: Grant, asked: AskedRight): boolean {
  return (
    grant.user === asked.user &&
    grant.verb === asked.verb &&
    grant.group === asked.group &&
    grant.resource === asked.resource &&
    ['', asked.namespace].includes(grant.namespace) &&
    ['', asked.name].includes(grant.name)
  );
}

/** `ClusterRole x: patch apps/daemonsets name`: the right, whoever is bound. */
export function rightText(grant: Omit<Grant, 'user'>): string {
  const { role, verb, group, resource, name } = grant;
  return [`${role}:`, verb, group === '' ? resource : `${group}/${resource}`, name].join(' ').trim();
}

/** Every right of every role among `objects`, bound or not. */
export function rightsOf(objects: readonly KubeObject[]): string[] {
  const roles = objects.filter(({ kind }) => /^(Cluster)?Role$/.test(kind)) as Live[];
  return roles.flatMap(({ kind, metadata, rules }) =>
    rules.flatMap((rule: Live) =>
      rights(rule).map((right) => rightText({ ...right, role: `${kind} ${metadata.name}`, namespace: '' })),
    ),
  );
}

/** `objects` in which the role grants everything but this right, as `rightText` writes it. Throws where no role has it. */
export function withoutRight(objects: readonly KubeObject[], text: string): KubeObject[] {
  if (!rightsOf(objects).includes(text)) throw new Error(`there is no ${text}`);
  return objects.map((object) => {
    const { kind, metadata, rules } = object as Live;
    const role = `${kind} ${metadata.name}`;
    if (!text.startsWith(`${role}: `)) return object;
    const left = rules.flatMap((rule: Live) =>
      rights(rule).filter((right) => rightText({ ...right, role, namespace: '' }) !== text),
    );
    return { ...object, rules: left.map(ruleOf) } as KubeObject;
  });
}

function ruleOf({ verb, group, resource, name }: Omit<Grant, 'user' | 'namespace' | 'role'>): object {
  const names = name === '' ? {} : { resourceNames: [name] };
  return { apiGroups: [group], resources: [resource], verbs: [verb], ...names };
}

function isIn({ metadata }: KubeObject, name: string, binding: KubeObject): boolean {
  return metadata.name === name && [undefined, binding.metadata.namespace].includes(metadata.namespace);
}

function rights({
  apiGroups,
  resources,
  verbs,
  resourceNames = [''],
}: Live): Omit<Grant, 'user' | 'namespace' | 'role'>[] {
  if ([...apiGroups, ...resources, ...verbs].includes('*'))
    throw new Error(`expected no wildcard in ${JSON.stringify({ apiGroups, resources, verbs })}`);
  return apiGroups.flatMap((group: string) =>
    resources.flatMap((resource: string) =>
      verbs.flatMap((verb: string) => resourceNames.map((name: string) => ({ verb, group, resource, name }))),
    ),
  );
}
