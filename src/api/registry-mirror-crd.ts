/** The CustomResourceDefinition of RegistryMirror. Pure; run by `npm run generate`. */
import { crdOf } from './crd.ts';
import { group, kind, version } from './kind.ts';
import { registryMirrorSchema } from './registry-mirror.ts';
import { rules } from './rules.ts';

/** Returns the CRD as a plain object. */
export function registryMirrorCrd(): Record<string, unknown> {
  return crdOf({
    group,
    version,
    kind,
    plural: 'registrymirrors',
    namespaced: false,
    shortNames: ['rm'],
    description: 'A caching mirror of one registry for the nodes of this cluster.',
    schema: registryMirrorSchema,
    rules,
    subresources: {
      status: {},
      scale: {
        specReplicasPath: '.spec.replicas',
        statusReplicasPath: '.status.replicas',
        labelSelectorPath: '.status.selector',
      },
    },
    columns: [
      { name: 'Upstream', type: 'string', jsonPath: '.status.upstream' },
      { name: 'Masquerade', type: 'string', jsonPath: '.status.masquerade' },
      { name: 'Address', type: 'string', jsonPath: '.status.address' },
      { name: 'Cache', type: 'string', jsonPath: '.status.cache' },
      { name: 'Nodes', type: 'string', jsonPath: '.status.nodes' },
      { name: 'Hit', type: 'string', jsonPath: '.status.hitRatio' },
      { name: 'In use', type: 'string', jsonPath: '.status.conditions[?(@.type=="InUse")].status' },
      { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
  });
}
