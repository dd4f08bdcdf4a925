/** Remembers what rules made of images: pods of one Deployment have the same ones. Nothing of it is older than the rules. */
import { maxReferenceLength } from '../image/reference.ts';
import { type RuleTable, rewriterOf, type SourceName } from '../image/rules/table.ts';
import type { Rewrite, RewriteRequest } from '../image/settle.ts';

/**
 * So many images, each for what it was asked for; when they are too many, all are forgotten. Longer texts are none: whoever makes pods could fill the
 * memory with them.
 */
const mostImages = 4096;

interface Memory {
  readonly byScope: Map<string, Map<string, Rewrite>>;
  images: number;
}

const memories = new WeakMap<RuleTable, Memory>();

/** Returns what applies the rules of these sources to the images of one pod; for equal arguments equal results. */
export function rememberingRewriter(
  table: RuleTable,
  sources: readonly SourceName[],
  request: RewriteRequest,
): (image: string, isNeverPulled?: boolean) => Rewrite {
  const memory = memoryOf(table);
  const ofPod = `${request.namespace} ${request.bypass} ${sources}`;
  return (image, isNeverPulled = false) => {
    const scope = isNeverPulled ? `${ofPod} neverPulled` : ofPod;
    const known = memory.byScope.get(scope)?.get(image);
    if (known !== undefined) return known;
    const rewrite = rewriterOf(table, sources)(image, { ...request, isNeverPulled });
    if (image.length <= maxReferenceLength) remember(memory, scope, rewrite);
    return rewrite;
  };
}

function memoryOf(table: RuleTable): Memory {
  const known = memories.get(table);
  if (known !== undefined) return known;
  const memory: Memory = { byScope: new Map(), images: 0 };
  memories.set(table, memory);
  return memory;
}

function remember(memory: Memory, scope: string, rewrite: Rewrite): void {
  if (memory.images >= mostImages) {
    memory.byScope.clear();
    memory.images = 0;
  }
  const images = memory.byScope.get(scope) ?? new Map<string, Rewrite>();
  memory.byScope.set(scope, images);
  images.set(rewrite.image, rewrite);
  memory.images += 1;
}
