/** Rules over the addresses in a RegistryMirror, for what their patterns do not tell. What is written here as text, RE2 and JavaScript read alike. */
import { ipv6Pattern } from './ipv6.ts';
import type { Rule } from './rule.ts';

type AddressField = 'upstreamUrl' | 'masqueradeUrl' | 'upstreamProxy';

const ipv6InBrackets = `^[^[]*$|[[](${ipv6Pattern})]`;
/** From 65536 to 99999. */
const highPort = ':(6553[6-9]|655[4-9][0-9]|65[6-9][0-9]{2}|6[6-9][0-9]{3}|[7-9][0-9]{4})(/|$)';
const longHost = '^(https?://)?[a-z0-9.-]{254}';
/** Of 253 and 63 characters `mirror-` takes 7. */
const longForMasquerade = '^(https?://)?[a-z0-9.-]{247}';
const longFirstLabel = '^(https?://)?[a-z0-9-]{57}';

/** Rules of RegistryMirror over `upstreamUrl`, `masqueradeUrl` and `upstreamProxy`. */
export const addressRules: readonly Rule[] = [
  fieldRule('upstreamUrl', 'matches', ipv6InBrackets, 'an IPv6 address in brackets'),
  fieldRule('upstreamProxy', 'matches', ipv6InBrackets, 'an IPv6 address in brackets'),
  fieldRule('upstreamUrl', 'lacks', longHost, 'a host of at most 253 characters'),
  fieldRule('upstreamUrl', 'lacks', highPort, 'a port of at most 65535'),
  fieldRule('masqueradeUrl', 'lacks', highPort, 'a port of at most 65535'),
  fieldRule('upstreamProxy', 'lacks', highPort, 'a port of at most 65535'),
  fieldRule(
    'masqueradeUrl',
    'lacks',
    '^[0-9.]+(:[0-9]+)?$',
    'a name, because no hosts file can lead an address elsewhere',
  ),
  defaultNameRule('[[]', 'none can be made from an IPv6 upstreamUrl'),
  defaultNameRule(longFirstLabel, 'mirror- and the first label of upstreamUrl are longer than 63 characters'),
  defaultNameRule(longForMasquerade, 'mirror- and the host of upstreamUrl are longer than 253 characters'),
];

/** What a field must match, or must not, where it is there. */
function fieldRule(field: AddressField, verb: 'matches' | 'lacks', pattern: string, expected: string): Rule {
  const path = ['spec', field];
  const isWanted = verb === 'matches';
  return {
    at: 'spec',
    path,
    reads: [path],
    cel: `!has(self.${field}) || ${isWanted ? '' : '!'}self.${field}.matches('${pattern}')`,
    message: `${field}: expected ${expected}`,
    holds: ({ spec: { [field]: text } }) => text === undefined || new RegExp(pattern).test(text) === isWanted,
  };
}

/** What of `upstreamUrl` makes no name for the mirror. */
function defaultNameRule(pattern: string, why: string): Rule {
  return {
    at: 'spec',
    path: ['spec', 'masqueradeUrl'],
    reads: [
      ['spec', 'upstreamUrl'],
      ['spec', 'masqueradeUrl'],
    ],
    cel: `has(self.masqueradeUrl) || !self.upstreamUrl.matches('${pattern}')`,
    message: `masqueradeUrl: expected a name, because ${why}`,
    holds: ({ spec }) => spec.masqueradeUrl !== undefined || !new RegExp(pattern).test(spec.upstreamUrl),
  };
}
