/** The paths that reviews come to: ours, and one for each system that is replaced, with its scope. Pure. */
import type { RewriteSettings } from '../api/rewrite-settings.ts';
import type { SourceName } from '../image/rules/table.ts';
import { type NamespaceScope, namespaceScope } from '../rewriting/scope.ts';

export interface ReviewPath {
  readonly path: string;
  /** In metrics. */
  readonly name: 'rewrite' | 'mutate' | 'image-mapper' | 'imageswap';
  readonly operations: readonly string[];
  /** Workloads' templates and ephemeral containers too. */
  readonly onlyPods: boolean;
  /** Which sources are asked, of those of the namespace. */
  readonly sources: (namespace: readonly SourceName[]) => readonly SourceName[];
}

export const reviewPaths: readonly ReviewPath[] = [
  {
    path: '/rewrite',
    name: 'rewrite',
    operations: ['CREATE', 'UPDATE'],
    onlyPods: false,
    sources: (ofNamespace) => ofNamespace,
  },
  // gilly: every namespace that sends its pods.
  { path: '/mutate', name: 'mutate', operations: ['CREATE'], onlyPods: true, sources: () => ['gilly'] },
  {
    path: '/image-mapper',
    name: 'image-mapper',
    operations: ['CREATE', 'UPDATE'],
    onlyPods: true,
    sources: (ofNamespace) => ofNamespace.filter((source) => source === 'imageMaps'),
  },
  // imageswap: its own configuration selects namespaces. In scheme `services` its map is the mirrors' lines, which are rules of mirrors here.
  {
    path: '/',
    name: 'imageswap',
    operations: ['CREATE', 'UPDATE'],
    onlyPods: false,
    sources: () => ['imageswap', 'mirrors'],
  },
];

/** What counts for a namespace's objects at a path. Opt-outs count at every path. */
export function pathScope(
  { sources }: ReviewPath,
  namespace: string,
  labels: Readonly<Record<string, string>> | undefined,
  settings: Pick<RewriteSettings, 'namespaces'>,
): NamespaceScope {
  const scope = namespaceScope(namespace, labels, settings);
  return scope.optedOut === undefined ? { sources: sources(scope.sources) } : scope;
}
