/** What the API server calls RewriteRules. Apart from the schema, so that who only names the kind need not load it. */

export const rewriteRulesKind = {
  group: 'k8s.osp.tech',
  version: 'v1alpha1',
  plural: 'rewriterules',
  kind: 'RewriteRules',
  namespaced: true,
} as const;

export const rewriteRulesApiVersion = `${rewriteRulesKind.group}/${rewriteRulesKind.version}` as const;
