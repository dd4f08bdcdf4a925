/** Platforms as image indexes name them: `os/architecture[/variant]`. Pure. */

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** What is warmed of an index. */
export type PlatformChoice = 'all' | readonly Platform[];

const grammar = /^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9.]+)?$/;

/** Takes `linux/arm64/v8`; undefined for anything of another form. */
export function parsePlatform(text: string): Platform | undefined {
  if (!grammar.test(text)) return undefined;
  const [os = '', architecture = '', variant] = text.split('/');
  return normalized({ os, architecture: goNames[architecture] ?? architecture, variant });
}

/** Names of `uname` and of Node for what indexes name as Go does. */
const goNames: Readonly<Record<string, string>> = {
  x64: 'amd64',
  x86_64: 'amd64',
  aarch64: 'arm64',
  ia32: '386',
  ppc64: 'ppc64le',
};

/** The platform of the nodes this process's own kind of machine belongs to: what it pulls when nobody says otherwise. */
export function ownPlatform(arch: string): Platform {
  return normalized({ os: 'linux', architecture: goNames[arch] ?? arch });
}

export function platformName({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined && part !== '').join('/');
}

/** True when `choice` wants an index's entry. Entries that name no platform are artifacts of the whole index, or images of old tools. */
export function isWanted(choice: PlatformChoice, entry: Platform | undefined): boolean {
  if (choice === 'all' || entry === undefined) return true;
  const offered = normalized(entry);
  return choice.some(
    (wanted) =>
      wanted.os === offered.os &&
      wanted.architecture === offered.architecture &&
      (wanted.variant ?? '') === (offered.variant ?? ''),
  );
}

/** The variants that Go's names leave unsaid: amd64 is v1, arm64 is v8, arm alone is v7 (containerd's `platforms.Normalize`). */
function normalized({ os, architecture, variant }: Platform): Platform {
  const implied: Readonly<Record<string, string>> = { amd64: 'v1', arm64: 'v8', arm: 'v7' };
  const said = variant === undefined || variant === '' ? implied[architecture] : variant;
  const isImplied = architecture !== 'arm' && said === implied[architecture];
  return { os, architecture, ...(said !== undefined && !isImplied && { variant: said }) };
}
