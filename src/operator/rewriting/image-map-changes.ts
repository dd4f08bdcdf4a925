/** When `ImageMapStatuses` has something to look at. */
import { changesMap, type RuleWatch } from '../../rewriting/rule-watch.ts';
import type { LiveView } from '../live-view.ts';

/**
 * Calls `changed` when the rules were compiled anew, and when somebody else changes a map without changing its lines; returns what ends that.
 * Takes the view that `ImageMapStatuses` writes to.
 */
export function onImageMapChanges(
  rules: Pick<RuleWatch, 'subscribe'>,
  view: Pick<LiveView, 'subscribe'>,
  changed: () => void,
): () => void {
  const ends = [
    rules.subscribe(changed),
    view.subscribe((change) => {
      if (!changesMap(change)) changed();
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}
