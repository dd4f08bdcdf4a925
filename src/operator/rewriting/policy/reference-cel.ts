/** `src/image/reference.ts` in CEL: the same grammar, for RE2, which has no look-ahead. A property test compares both on the API server. Pure. */
import { dockerHubNames } from '../../../image/reference.ts';
import { allOf, anyOf, bind, raw } from './cel.ts';

const hostLabel = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const hostWithPort = String.raw`${hostLabel}(?:\.${hostLabel})*(?::[0-9]+)?`;
/** By the domain rule only with a colon or an upper-case letter; brackets alone make no registry. */
const addressWithPort = String.raw`\[(?:[a-fA-F0-9:]+\]:[0-9]+|[a-f0-9]*[:A-F][a-fA-F0-9:]*\])`;
const segment = String.raw`[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*`;
const name = `(?:(?:${hostWithPort}|${addressWithPort}|${segment})/)?${segment}(?:/${segment})*`;
/** Lengths are compared besides: counted repetitions make expressions slow. */
const form = `^${name}(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?(?:@sha(?:256|384|512):[a-f0-9]+)?$`;

const digest = '@(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$';
const longTag = ':[A-Za-z0-9_][A-Za-z0-9._-]{128,}$';

/** Names that are shorter are short enough with all that `wholeName` adds: `docker.io/library/`. */
const surelyShort = 255 - 'docker.io/library/'.length;

/** The registry with the slash behind it, or nothing: of an image that is a reference. */
export function registryWithSlash(image: string): string {
  return `${image}.find(${raw('^(?:localhost|[^/@]*[.:A-Z][^/@]*)/')})`;
}

/** What comes before tag and digest: of an image that is a reference. */
export function nameOf(image: string): string {
  return `${image}.find(${raw('^(?:[^/@]*/)*[^/:@]*')})`;
}

/** A registry without its port; also of a whole image, which may be none. */
export function hostOf(registry: string): string {
  return `${registry}.find(${raw(String.raw`^(?:\[[^/@]*\]|[^/:@\[]+)`)})`;
}

/** Whether a text is an image reference. `text` is a variable. Most are short and have no digest: then the grammar says it all. */
export function isReference(text: string): string {
  const fits = `${text}.matches(${raw(form)})`;
  return `(size(${text}) < 64 && !${text}.contains('@') ? ${fits} : ${allOf([`size(${text}) <= 1024`, fits, ...furtherRules(text)])})`;
}

function furtherRules(text: string): string[] {
  return [
    `size(${text}) != 64 || !${text}.matches(${raw('^[a-f0-9]{64}$')})`,
    `size(${text}) <= 129 || !${text}.find(${raw('^[^@]*')}).matches(${raw(longTag)})`,
    anyOf([`!${text}.contains('@')`, `${text}.matches(${raw(digest)})`]),
    isShortEnough(text),
  ];
}

const hubs = `['', ${dockerHubNames.map((hub) => `'${hub}/'`).join(', ')}]`;

/** Whether registry and path together have at most 255 characters, in the words of `wholeName`: of a text that is a reference otherwise. */
export function isShortEnough(text: string): string {
  const parts = `[${nameOf(text)}, ${registryWithSlash(text)}]`;
  const path = 'n[0].substring(size(n[1]))';
  const whole = `(n[1] in ${hubs} ? size(${path}) + (${path}.contains('/') ? 10 : 18) : size(n[0]))`;
  return `size(${text}) <= ${surelyShort} || ${bind(parts, 'n', `${whole} <= 255`)}`;
}
