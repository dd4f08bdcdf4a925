/** Rules over several fields of a RegistryMirror, once as CEL for the API server and once as a predicate for `render` and `standalone`. */
import { addressRules } from './address-rules.ts';
import { maxNameLength } from './kind.ts';
import type { Rule } from './rule.ts';
import { hubVersionPattern, parseUpstream } from './upstream.ts';

const name = ['metadata', 'name'];
const upstreamUrl = ['spec', 'upstreamUrl'];
const credentialsSecret = ['spec', 'credentialsSecret'];
const credentials = ['spec', 'credentials'];
const access = ['spec', 'access'];
const nodes = ['spec', 'nodes'];

/** An empty name is none; predicates see it as absent. */
const hasSecret = "(has(self.credentialsSecret) && self.credentialsSecret != '')";

/** All rules of RegistryMirror; a test runs both forms against the same objects on a real API server. */
export const rules: readonly Rule[] = [
  {
    at: 'object',
    path: name,
    reads: [name],
    cel: `self.metadata.name.size() <= ${maxNameLength} && !self.metadata.name.contains('.')`,
    message: `metadata.name: expected a DNS label of at most ${maxNameLength} characters without dots, because names of Services and labels of pods are made from it`,
    holds: ({ metadata }) => metadata.name.length <= maxNameLength && !metadata.name.includes('.'),
  },
  {
    at: 'spec',
    path: credentialsSecret,
    reads: [upstreamUrl, credentialsSecret],
    cel: `!self.upstreamUrl.startsWith('http://') || !${hasSecret}`,
    message:
      'credentialsSecret: expected none with an http:// upstreamUrl, because credentials are never sent in the clear',
    holds: ({ spec }) => !spec.upstreamUrl.startsWith('http://') || spec.credentialsSecret === undefined,
  },
  {
    at: 'spec',
    path: credentials,
    reads: [upstreamUrl, credentials],
    cel: "!self.upstreamUrl.startsWith('http://') || !has(self.credentials)",
    message:
      'credentials: expected none with an http:// upstreamUrl, because credentials are never sent in the clear',
    holds: ({ spec }) => !spec.upstreamUrl.startsWith('http://') || spec.credentials === undefined,
  },
  {
    at: 'spec',
    path: credentials,
    reads: [credentials, credentialsSecret],
    cel: `!has(self.credentials) || !${hasSecret}`,
    message: 'credentials: expected either credentials or credentialsSecret, got both',
    holds: ({ spec }) => spec.credentials === undefined || spec.credentialsSecret === undefined,
  },
  {
    at: 'spec',
    path: access,
    reads: [access, credentials, credentialsSecret],
    cel: `!has(self.access) || self.access == 'shared' || (!has(self.credentials) && !${hasSecret})`,
    message: 'access: expected shared with credentials, because the other modes never use the mirror’s own',
    holds: ({ spec }) =>
      spec.access === undefined ||
      spec.access === 'shared' ||
      (spec.credentials === undefined && spec.credentialsSecret === undefined),
  },
  {
    at: 'spec',
    path: access,
    reads: [access, upstreamUrl],
    cel: "!has(self.access) || self.access != 'passThrough' || !self.upstreamUrl.startsWith('http://')",
    message:
      'access: expected publicOnly or shared with an http:// upstreamUrl, because clients’ credentials are never sent in the clear',
    holds: ({ spec }) => spec.access !== 'passThrough' || !spec.upstreamUrl.startsWith('http://'),
  },
  ...addressRules,
  {
    at: 'spec',
    path: nodes,
    reads: [nodes],
    cel: "!has(self.nodes) || !has(self.nodes.clientCertificate) || !self.nodes.clientCertificate || !has(self.nodes.endpoint) || self.nodes.endpoint == 'loopback'",
    message:
      'nodes.clientCertificate: expected false with endpoint service, because its key would lie on the disk of every node',
    holds: ({ spec }) => spec.nodes?.clientCertificate !== true || spec.nodes.endpoint !== 'service',
  },
  {
    at: 'spec',
    path: nodes,
    reads: [nodes, upstreamUrl],
    cel: `!has(self.nodes) || !has(self.nodes.wire) || self.nodes.wire == 'alias' || !self.upstreamUrl.matches('^(https?://)?[^/]+/[^/]') || self.upstreamUrl.matches('${hubVersionPattern}')`,
    message:
      'nodes.wire: expected alias with a path in upstreamUrl, because runtimes know registries by their host alone',
    holds: ({ spec }) =>
      spec.nodes?.wire !== 'transparent' || parseUpstream(spec.upstreamUrl).pathPrefix === '',
  },
  {
    at: 'spec',
    path: nodes,
    reads: [nodes],
    cel: "!has(self.nodes) || !has(self.nodes.runtimes) || !('auto' in self.nodes.runtimes) || self.nodes.runtimes.all(each, each in ['auto', 'hosts'])",
    message: 'nodes.runtimes: expected either auto (with hosts or without) or the names of runtimes',
    holds: ({ spec }) => {
      const runtimes = spec.nodes?.runtimes ?? [];
      return !runtimes.includes('auto') || runtimes.every((each) => each === 'auto' || each === 'hosts');
    },
  },
];
