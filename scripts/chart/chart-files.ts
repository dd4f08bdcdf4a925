/**
 * The files of deploy/chart that are generated: its templates from the manifests of deploy/, its values from their description. The main file of this
 * folder; used by `npm run generate` and the test of what is stale. Written by hand are what only a chart has: helpers, notes, hooks, the ConfigMap of
 * the rewriting variables. Pure.
 */
import { dump } from 'js-yaml';
import { chartPage } from './page.ts';
import { templateOf } from './template-file.ts';
import { crdTemplate, templateFiles } from './templates.ts';
import { chartValues } from './values.ts';
import { valuesSchema, valuesTable, valuesYaml } from './values-files.ts';

const chart = 'deploy/chart';

/**
 * Every generated file of the chart: its path in the repository and its content. `read` gives the text of a file of the repository, `crds` are the
 * paths of the CustomResourceDefinitions below deploy/.
 */
export function chartFiles(read: (path: string) => string, crds: readonly string[]): Map<string, string> {
  const manifest = (path: string) => read(`deploy/${path}`);
  const values = chartValues({
    operator: manifest('base/deployment.yaml'),
    webhook: deploymentOf(manifest('components/webhook/webhook.yaml')),
    networkPolicies: manifest('components/networkpolicy/policies.yaml'),
    dashboard: manifest('components/monitoring/dashboard.yaml'),
  });
  const templates = [...templateFiles, ...crds.map(crdTemplate)].map((file): [string, string] => [
    `${chart}/templates/${file.name}.yaml`,
    templateOf(file, manifest(file.source)),
  ]);
  return new Map([
    [`${chart}/Chart.yaml`, chartYaml(read('package.json'))],
    [`${chart}/values.yaml`, valuesYaml(values)],
    [`${chart}/values.schema.json`, valuesSchema(values)],
    [`${chart}/README.md`, chartPage(valuesTable(values))],
    ...templates,
  ]);
}

function deploymentOf(text: string): string {
  return text.split(/^---\n/m).find((document) => document.includes('kind: Deployment')) ?? '';
}

function chartYaml(packageJson: string): string {
  const { name, version, description } = JSON.parse(packageJson) as Record<string, string>;
  const text = dump({
    apiVersion: 'v2',
    name,
    description,
    type: 'application',
    version,
    appVersion: version,
    // Fields of PodDisruptionBudgets, and rules in CustomResourceDefinitions.
    kubeVersion: '>=1.28.0-0',
    keywords: ['registry', 'mirror', 'cache', 'containerd', 'docker'],
    annotations: { 'artifacthub.io/license': 'Apache-2.0' },
  });
  return `# Generated from package.json by \`npm run generate\`. Do not edit.\n${text}`;
}
