/** What `rewrite` prints. Pure. */
import { explainRewrite } from '../image/rules/explain.ts';
import type { Meeting } from '../image/rules/meetings.ts';
import type { RuleTable } from '../image/rules/table.ts';
import { type Rewrite, type RewriteRequest, ruleName } from '../image/settle.ts';
import { plainText } from './plain-text.ts';

export interface LineFlags {
  readonly output?: 'json';
  readonly explain?: true;
}

/** The lines for one image: `IMAGE<TAB>RESULT<TAB>rule` or an object, with `explain` followed by the reasons. */
export function rewriteLines(
  rewrite: Rewrite,
  request: RewriteRequest,
  { output, explain }: LineFlags,
): string[] {
  const reasons = explain ? explainRewrite(rewrite, request).map(plainText) : [];
  if (output === 'json')
    return [JSON.stringify({ ...rewrite, ...(explain ? { explanation: reasons } : {}) })];
  const rule = rewrite.rule === undefined ? 'none' : ruleName(rewrite.rule);
  const columns = [rewrite.image, rewrite.result, rule].map(plainText);
  return [columns.join('\t'), ...reasons.map((reason) => `  ${reason}`)];
}

/** What is wrong with the rules, one line each: `FILE:LINE: why` for the imageswap map. */
export function tableFaultLines(
  table: RuleTable,
  { imageswapMaps }: { readonly imageswapMaps?: string },
): string[] {
  const ofMap = table.mapFaults.map(
    ({ line, why }) => `${imageswapMaps}${line === 0 ? '' : `:${line}`}: ${why}`,
  );
  const ofImageMaps = table.imageMaps.flatMap(({ namespace, name, rejected, notes }) => [
    ...(rejected === undefined ? [] : [rejected]),
    ...notes.map(
      (note) => `imagemap ${JSON.stringify(name)} in namespace ${JSON.stringify(namespace)}: ${note}`,
    ),
  ]);
  const ofMirrors = [...table.mirrorsLeftOut].map(([name, why]) => `mirror ${name} has no rule: ${why}`);
  return [...ofMap, ...ofImageMaps, ...ofMirrors].map(plainText);
}

/** One line for each name in which several sources meet. */
export function meetingLines(meetings: readonly Meeting[]): string[] {
  return meetings.map(({ name, sources }) => `${name}: several sources meet here: ${sources.join(', ')}`);
}
