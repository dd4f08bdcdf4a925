import { dump } from 'js-yaml';
import { registryMirrorCrd } from '../src/api/crd.ts';
import { registryMirrorReference } from './field-reference.ts';

/** Every generated file: its path in the repository and its content. */
export function generatedFiles(): Map<string, string> {
  const head = '# Generated from src/api by `npm run generate`. Do not edit.\n';
  const crd = head + dump(registryMirrorCrd(), { lineWidth: 120, noRefs: true });
  return new Map([
    ['crds/registrymirrors.k8s.osp.tech.yaml', crd],
    // kustomize reads no file outside its own folder, and a kustomization in crds/ would break `kubectl apply -f crds/`.
    ['deploy/base/registrymirrors.k8s.osp.tech.yaml', crd],
    ['docs/registry-mirror.md', registryMirrorReference()],
  ]);
}
