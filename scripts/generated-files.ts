import { readFileSync } from 'node:fs';
import { dump } from 'js-yaml';
import { addressRules } from '../src/api/address-rules.ts';
import { imageMapCrd } from '../src/api/image-map-crd.ts';
import { registryMirrorCrd } from '../src/api/registry-mirror-crd.ts';
import { rewriteRulesCrd } from '../src/api/rewrite-rules-crd.ts';
import { rules } from '../src/api/rules.ts';
import { chartFiles } from './chart/chart-files.ts';
import { fieldReference } from './field-reference.ts';
import { imageMapIntroduction } from './image-map-introduction.ts';
import { monitoringFiles } from './monitoring/monitoring-files.ts';

/** What is generated of one kind. */
interface GeneratedKind {
  readonly crd: Record<string, unknown>;
  /** Besides crds/: kustomize reads no file outside its own folder, and a kustomization in crds/ would break `kubectl apply -f crds/`. */
  readonly copiesIn: readonly string[];
  readonly page: string;
  /** Lines above the fields. */
  readonly introduction: readonly string[];
  /** Lines below them: rules over more than one field. */
  readonly rules?: readonly string[];
}

/** Every generated file: its path in the repository and its content. */
export function generatedFiles(): Map<string, string> {
  const ofKinds = new Map(kinds().flatMap(filesOf));
  const files = new Map([...ofKinds, ...monitoringFiles()]);
  const read = (path: string) =>
    files.get(path) ?? readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
  const crds = [...ofKinds.keys()].filter((path) => path.startsWith('deploy/'));
  return new Map([
    ...files,
    ...chartFiles(
      read,
      crds.map((path) => path.slice('deploy/'.length)),
    ),
  ]);
}

function kinds(): readonly GeneratedKind[] {
  return [
    {
      crd: registryMirrorCrd(),
      copiesIn: ['deploy/base'],
      page: 'docs/kinds/registry-mirror.md',
      introduction: [
        'Cluster-scoped, `k8s.osp.tech/v1`, short name `rm`. What the conditions and their reasons mean: [operations](../operations.md).',
      ],
      // Those over the form of an address say all there is to say when they are broken.
      rules: rules.filter((rule) => !addressRules.includes(rule)).map(({ message }) => message),
    },
    {
      crd: imageMapCrd(),
      copiesIn: ['deploy/components/rewriting'],
      page: 'docs/kinds/image-map.md',
      introduction: imageMapIntroduction,
    },
    {
      crd: rewriteRulesCrd(),
      copiesIn: ['deploy/components/rewriting'],
      page: 'docs/kinds/rewrite-rules.md',
      introduction: [
        'Namespaced, `k8s.osp.tech/v1alpha1`, short name `rwr`. Written by the operator; what is changed by hand is put back. What the policy does with it:',
        '[policy](../policy.md).',
      ],
    },
  ];
}

function filesOf({ crd, copiesIn, page, introduction, rules: refused }: GeneratedKind): [string, string][] {
  const { name } = crd['metadata'] as { name: string };
  const head = '# Generated from src/api by `npm run generate`. Do not edit.\n';
  const text = head + dump(crd, { lineWidth: 120, noRefs: true });
  return [
    ...['crds', ...copiesIn].map((folder): [string, string] => [`${folder}/${name}.yaml`, text]),
    [page, fieldReference(crd, introduction, refused)],
  ];
}
