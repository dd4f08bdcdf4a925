/**
 * Releases of containerd by what they make of a configuration. Pure. Read in the sources of 2.0.5, 2.1.9, 2.2.9 and 2.4.2, and seen with 1.6.20 and
 * 2.4.2: 2.2 has a default for an unset `config_path`, 2.3 (whose own version is 4) takes the names of version 2 out of files of version 3 too.
 */
export type Generation = '1' | '2.0' | '2.2' | '2.3';

/** Newest first: those that `release` (`1.7.27`) and the configuration's `version` leave possible. */
export function generationsOf(release: string | undefined, version = 0): readonly Generation[] {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(release ?? '') ?? [];
  if (major !== undefined) return [generationOf(Number(major), Number(minor))];
  if (version >= 4) return ['2.3'];
  return version === 3 ? ['2.3', '2.2', '2.0'] : ['2.3', '2.2', '2.0', '1'];
}

/** How its files are found: relative globs of imports, and what a later file does to an earlier one. */
export function majorOf(generation: Generation): 1 | 2 {
  return generation === '1' ? 1 : 2;
}

function generationOf(major: number, minor: number): Generation {
  if (major < 2) return '1';
  if (major > 2 || minor >= 3) return '2.3';
  return minor === 2 ? '2.2' : '2.0';
}
