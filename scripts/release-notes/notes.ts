/** What is said of a release. Pure. */

export interface ReleaseSources {
  /** Of package.json. */
  readonly version: string;
  readonly changelog: string;
}

/** Returns the section of CHANGELOG.md with the version that `tag` (`vX.Y.Z`) names. Throws when the sources do not agree with it. */
export function releaseNotes(tag: string, { version, changelog }: ReleaseSources): string {
  if (tag !== `v${version}`)
    throw new Error(`tag: expected v${version}, the version of package.json, got ${tag}`);
  const sections = changelog.split(/^## /m).slice(1);
  const isOfVersion = (section: string) => /^\[?([^\s\]]+)/.exec(section)?.[1] === version;
  const section = sections.find(isOfVersion);
  const body = section?.slice(section.indexOf('\n')).trim() ?? '';
  if (body === '')
    throw new Error(`CHANGELOG.md: expected a section "## ${version}" that says something, got none`);
  return `${body}\n`;
}
