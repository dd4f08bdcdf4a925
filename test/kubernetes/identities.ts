/** Objects that give someone other than the admin an identity and rights. */
import type { KubeObject } from './api-request.ts';

/** A rule of a ClusterRole. */
export interface PolicyRule {
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
  verbs: string[];
}

/** Who gets the rights: the subject of a ClusterRoleBinding. */
export interface Subject {
  kind: 'User' | 'Group' | 'ServiceAccount';
  name: string;
  namespace?: string;
}

/** Returns the ClusterRole and the binding that give `subject` exactly `rules` (and what its other bindings give). */
export function grantObjects(subject: Subject, rules: PolicyRule[]): KubeObject[] {
  const name = ['test', subject.kind.toLowerCase(), subject.namespace, subject.name]
    .filter(Boolean)
    .join(':');
  const group = 'rbac.authorization.k8s.io';
  const apiVersion = `${group}/v1`;
  const apiGroup = subject.kind === 'ServiceAccount' ? '' : group;
  return [
    { apiVersion, kind: 'ClusterRole', metadata: { name }, rules },
    {
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata: { name },
      roleRef: { apiGroup: group, kind: 'ClusterRole', name },
      subjects: [{ ...subject, apiGroup }],
    },
  ];
}

/** Returns the namespace and the service account, in the order to make them. */
export function serviceAccountObjects(namespace: string, name: string): KubeObject[] {
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } },
  ];
}
