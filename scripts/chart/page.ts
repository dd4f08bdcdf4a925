/** The chart's README. Pure. */

/** Returns the page; `table` is that of the values. */
export function chartPage(table: readonly string[]): string {
  return `${[...introduction, ...table].join('\n')}\n`;
}

const introduction = `# Chart of registry-mirror-operator

<!-- Generated from scripts/chart by \`npm run generate\`. Do not edit. -->

The same objects as \`deploy/base\` and its components, by values. How to install, upgrade and uninstall:
[docs/operations.md](../../docs/operations.md#installing).

\`\`\`sh
kubectl create namespace registry-mirrors
kubectl label namespace registry-mirrors pod-security.kubernetes.io/enforce=privileged   # for the node agents; all other pods meet restricted
helm install registry-mirror-operator deploy/chart -n registry-mirrors --set image.repository=YOUR_REGISTRY/registry-mirror-operator
\`\`\`

One release in a cluster: the kinds are the cluster's, and so are the names of its roles. Wrong values are refused, by their name. As a dependency it
takes \`condition: registry-mirror-operator.enabled\`.

| component of kustomize | values |
|---|---|
| \`hostess\`, \`services\` | \`addressingScheme\` |
| \`rewriting\` with \`webhook\`, \`policy\` or both | \`rewriting.engine\`, \`webhook.enabled\` |
| \`cert-manager\` | \`certManager.createIssuer\` |
| \`foreign-hostess\` | \`hostessImage\` |
| \`cache-users\` | \`cacheUsers.createRoles\` |
| \`networkpolicy\` | \`networkPolicy\` |
| \`imageswap-namespace\` | \`imageswapNamespace\` |
| \`monitoring\` | \`monitoring.enabled\` |
| \`namespace\` | that of the release |

## Values
`.split('\n');
