/** What becomes of the text of containerd's configuration when `config_path` is set in it, and when that is taken back. Pure. */
import {
  differsOnlyIn,
  hasTable,
  isToml,
  type KeyPlace,
  valueIn,
  withoutText,
  withText,
} from './toml-text.ts';

/** What `config_path` is set to. */
export const certificatesFolder = '/etc/containerd/certs.d';

/** By what the plugin is called in files of version 2, of 3 and 4, and of 1. */
export const places = [
  keyIn('io.containerd.grpc.v1.cri'),
  keyIn('io.containerd.cri.v1.images'),
  keyIn('cri'),
] as const;

/** A whole file of ours, for containerd 1 and for 2. */
export const newFiles = ['version = 2\n', 'version = 3\n'].map((version, at) =>
  withText(version, places[at] ?? places[0], certificatesFolder),
);

/** The text with the path; undefined where it cannot be put in without changing anything else. */
export function textWithPath(before: string, place: KeyPlace | undefined): string | undefined {
  if (place === undefined) return undefined;
  const after = withText(before, place, certificatesFolder);
  return differsOnlyIn(before, after, place) && valueIn(after, place) === certificatesFolder
    ? after
    : undefined;
}

/** The text without what we made of it; the same where nothing of ours is in it, undefined where it cannot be told apart. */
export function textWithoutUs(text: string, original: string): string | undefined {
  if (!isToml(text)) return text.includes(certificatesFolder) ? undefined : text;
  const place = places.find((each) => valueIn(text, each) === certificatesFolder);
  if (place === undefined || valueIn(original, place) === certificatesFolder) return text;
  if (textWithPath(original, place) === text) return original;
  const before = valueIn(original, place);
  const after =
    typeof before === 'string'
      ? withText(text, place, before)
      : withoutText(text, place, hasTable(original, place.table));
  return differsOnlyIn(text, after, place) && valueIn(after, place) === before ? after : undefined;
}

function keyIn(plugin: string): KeyPlace {
  return { table: ['plugins', plugin, 'registry'], key: 'config_path' };
}
