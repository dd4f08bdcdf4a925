/** How many rules of each source are in force. Pure. */
import { parseMap } from '../image/imageswap/parse-map.ts';
import type { RuleTable, SourceName } from '../image/rules/table.ts';

/** Lines of ImageMaps, lines of imageswap's map, mirrors, gilly's one. */
export function ruleCounts(table: RuleTable): Record<SourceName, number> {
  const { imageMaps = [], imageswap, mirrors = [], gilly } = table.sources;
  const rejected = new Set(
    table.imageMaps.flatMap(({ namespace, name, rejected }) =>
      rejected === undefined ? [] : [`${namespace}/${name}`],
    ),
  );
  const accepted = imageMaps.filter(({ namespace, name }) => !rejected.has(`${namespace}/${name}`));
  return {
    imageMaps: accepted.reduce((sum, { map }) => sum + map.length, 0),
    imageswap:
      imageswap !== undefined && 'map' in imageswap
        ? parseMap(imageswap.map).entries.length
        : table.stages.imageswap.length,
    mirrors: mirrors.length - table.mirrorsLeftOut.size,
    gilly: gilly === undefined ? 0 : table.stages.gilly.length,
  };
}
