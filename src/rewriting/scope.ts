/**
 * Which rules count for a namespace, and which objects are left alone: the labels of the systems whose rules these are. Pure. The policy says
 * the same in CEL; the conformance suite compares.
 */
import { ownPodsLabel } from '../api/names.ts';
import { exemptNamespace, imageswapLabel, mirrorPodAnnotation } from '../api/rewrite-selectors.ts';
import type { RewriteSettings } from '../api/rewrite-settings.ts';
import type { SourceName } from '../image/rules/table.ts';

type Labels = Readonly<Record<string, string>> | undefined;

/** image-mapper's label: `false` on namespaces whose ImageMaps do not count. */
export const imageMapperLabel = 'image-mapper-webhook.image-relocation.pivotal.io/enabled';

/** What counts in a namespace; `optedOut` says why nothing does. */
export interface NamespaceScope {
  readonly sources: readonly SourceName[];
  readonly optedOut?: string;
}

/** Takes a namespace's name and labels. */
export function namespaceScope(
  name: string,
  labels: Labels,
  { namespaces }: Pick<RewriteSettings, 'namespaces'>,
): NamespaceScope {
  const optedOut = namespaceOptOut(name, labels);
  if (optedOut !== undefined) return { sources: [], optedOut };
  const enabled = labels?.[imageswapLabel] === 'enabled';
  const everywhere = namespaces === 'all' || enabled;
  const counts: Readonly<Record<SourceName, boolean>> = {
    imageMaps: labels?.[imageMapperLabel] !== 'false',
    imageswap: enabled,
    mirrors: everywhere,
    gilly: everywhere,
  };
  return { sources: (Object.keys(counts) as SourceName[]).filter((source) => counts[source]) };
}

function namespaceOptOut(name: string, labels: Labels): string | undefined {
  if (name === exemptNamespace) return `namespace ${exemptNamespace} is never rewritten`;
  if (labels?.[imageswapLabel] !== 'disabled') return undefined;
  return `namespace ${name} has the label ${imageswapLabel}=disabled`;
}

/** Why an object with these labels and annotations is left alone; undefined: it is not. */
export function objectOptOut(
  { labels, annotations }: { readonly labels?: Labels; readonly annotations?: Labels },
  { disableLabel }: Pick<RewriteSettings, 'disableLabel'>,
): string | undefined {
  if (labels?.[disableLabel] === 'disabled') return `it has the label ${disableLabel}=disabled`;
  if (labels?.[ownPodsLabel.key] === ownPodsLabel.value) return 'it belongs to the mirrors themselves';
  if (annotations?.[mirrorPodAnnotation] !== undefined) return 'it shows a static pod of a node';
  return undefined;
}
