/**
 * Reads the map of imageswap 1.5.3: `KEY::VALUE` lines, or `KEY:VALUE` as before 1.5.0. A line that is wrong is reported and costs no other
 * line. What the original took without a word and could not be meant is rejected here; docs/rewriting.md lists it.
 */
import { checkEntry } from './check-entry.ts';
import { type ImageswapMap, libraryKey, type MapEntry, type MapFault } from './entry.ts';
import { splitLine } from './split-line.ts';

/** Takes the text of a map (LF, CRLF or CR; a byte order mark is passed over). Never throws. */
export function parseMap(text: string): ImageswapMap {
  const entries = new Map<string, MapEntry>();
  const faults: MapFault[] = [];
  for (const [index, line] of mapLines(text).entries()) {
    const split = splitLine(line);
    if (split === undefined) continue;
    if ('why' in split) {
      faults.push({ line: index + 1, why: split.why });
      // Without any default no other line would be in force.
      if (isDefaultLine(line) && !entries.has(nameOf(emptyDefault)))
        entries.set(nameOf(emptyDefault), { ...emptyDefault, line: index + 1 });
      continue;
    }
    const { singleColon, ...parts } = split;
    const entry = { ...parts, line: index + 1 };
    const fault = checkEntry(entry, singleColon);
    if (fault !== undefined) faults.push({ line: entry.line, why: fault.why });
    // A Map keeps the place of a key's first line, which is the order of patterns.
    if (!fault?.rejected) entries.set(nameOf(entry), entry);
  }
  const inForce = [...entries.values()];
  return {
    entries: inForce,
    faults: [...faults, ...wholeFaults(inForce, faults)].sort((a, b) => a.line - b.line),
  };
}

function nameOf({ kind, key }: Pick<MapEntry, 'kind' | 'key'>): string {
  return `${kind} ${key}`;
}

/** What a default counts as of which nothing else can be read. */
const emptyDefault = { kind: 'registry', key: 'default', value: '' } as const;

function isDefaultLine(line: string): boolean {
  return /^\s*default\s*:/.test(line);
}

/** The lines as they are counted in faults, the first one being 1. */
export function mapLines(text: string): string[] {
  return text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/);
}

/** What only the whole map tells. */
function wholeFaults(entries: readonly MapEntry[], before: readonly MapFault[]): MapFault[] {
  const registry = (key: string) => entries.find((entry) => entry.kind === 'registry' && entry.key === key);
  const faults: MapFault[] = [];
  if (registry('default') === undefined && entries.some(({ kind }) => kind === 'registry')) {
    faults.push({ line: 0, why: 'without a line default:: no registry line is in force' });
  }
  const library = registry(libraryKey);
  const told = before.some(({ line }) => line === library?.line);
  if (library !== undefined && registry('docker.io') === undefined && !told) {
    const why =
      'there is no line for docker.io: the line is in force for names without a slash, default for the others';
    faults.push({ line: library.line, why });
  }
  return faults;
}
