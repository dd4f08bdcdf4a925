import { dump } from 'js-yaml';
import { registryMirrorCrd } from '../src/api/crd.ts';

/** Every generated file: its path in the repository and its content. */
export function generatedFiles(): Map<string, string> {
  const head = '# Generated from src/api by `npm run generate`. Do not edit.\n';
  return new Map([
    [
      'crds/registrymirrors.k8s.osp.tech.yaml',
      head + dump(registryMirrorCrd(), { lineWidth: 120, noRefs: true }),
    ],
  ]);
}
