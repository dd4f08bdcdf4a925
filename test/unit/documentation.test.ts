/** The pages for people: what they link to is there, and every alert has a section that says what to do. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import test from 'ava';
import { alertGroups } from '../../scripts/monitoring/alerts.ts';
import { runbookPage } from '../../scripts/monitoring/rules.ts';

const root = join(import.meta.dirname, '../..');
const pages = [
  ...['README.md', 'CHANGELOG.md', 'deploy/chart/README.md'],
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

test('every link from a page to a file of ours leads to one, and to a heading where it names one', (t) => {
  const dead = pages.flatMap((page) => linksOf(page).filter(({ path, anchor }) => !leads(path, anchor)));
  t.deepEqual(dead, []);
});

test('every alert has a section of its name on the page that it names', (t) => {
  const anchors = anchorsOf(runbookPage);
  const names = alertGroups.flatMap(({ alerts }) => alerts.map(({ name }) => name));
  t.true(names.length > 0);
  t.deepEqual(
    names.filter((name) => !anchors.has(name.toLowerCase())),
    [],
  );
});

test('every finding of a node agent, and every reason why a port is closed or a runtime not live, is on the page about nodes', (t) => {
  const told = namesIn('src/node', /\b(?:reason: |reason = |refused\()'([A-Z]\w+)'/g).filter(
    // The port is open.
    (name) => name !== 'Answers',
  );
  t.deepEqual(undocumented(told, ['docs/nodes.md']), []);
});

test('every reason of a condition of a mirror is on the page about operations', (t) => {
  const told = [
    ...namesIn('src/operator/registry-mirror', /'(?:True|False|Unknown)',\s+'([A-Z]\w+)'/g),
    ...namesIn('src/operator/registry-mirror', /\b(?:reason: |TerminalError\(\s*)'([A-Z]\w+)'/g),
    ...namesIn('src/operator/cache-reports', /\b(?:reason: |Reason = )'([A-Z]\w+)'/g),
  ];
  t.deepEqual(undocumented(told, ['docs/operations.md']), []);
});

test('every variable of operator and webhook is on a page, and none is that they do not read', (t) => {
  const pagesOfVariables = ['README.md', 'docs/rewriting.md', 'docs/webhook.md'];
  // What Kubernetes and `deploy/` set, and what is a node agent's.
  const others = /\/node-(?:agent|mirror)-environment\.ts$/;
  const own = ['KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT', 'POD_NAME', 'HOSTNAME'];
  const read = namesIn('src/config', /'([A-Z][A-Z0-9]*_[A-Z0-9_]+|KUBECONFIG)'/g, others);
  t.deepEqual(
    undocumented(read, pagesOfVariables).filter((name) => !own.includes(name)),
    [],
  );
  const rows = pagesOfVariables.flatMap((page) => [
    ...textOf(page).matchAll(/^\| (`[A-Z][A-Z0-9]*_[^|]*) \|/gm),
  ]);
  const named = rows.flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([A-Z0-9_]+)`/g)].map(([, name = '']) => name),
  );
  t.true(named.length > 30);
  t.deepEqual(
    named.filter((name) => !read.includes(name)),
    [],
  );
});

test('logs of pods that are selected by a label are shown from their beginning', (t) => {
  const commands = pages.flatMap((page) =>
    textOf(page)
      .split(/[\n`|]/)
      .filter((text) => /\bkubectl logs\b.* (-l|--selector)\b/.test(text)),
  );
  t.true(commands.length > 0);
  // By a selector kubectl shows ten lines.
  t.deepEqual(
    commands.filter((command) => !command.includes(' --tail')),
    [],
  );
});

interface Link {
  readonly page: string;
  readonly path: string;
  readonly anchor: string;
}

function linksOf(page: string): Link[] {
  const links = [...textOf(page).matchAll(/\]\(([^)\s#]*)(?:#([^)\s]*))?\)/g)];
  return links
    .filter(([, path = '']) => !path.includes(':'))
    .map(([, path = '', anchor = '']) => ({
      page,
      path: path === '' ? page : normalize(join(dirname(page), path)),
      anchor,
    }));
}

function leads(path: string, anchor: string): boolean {
  try {
    return anchor === '' ? exists(path) : anchorsOf(path).has(anchor);
  } catch {
    return false;
  }
}

function exists(path: string): boolean {
  return readdirSync(join(root, dirname(path))).includes(path.replace(/\/$/, '').split('/').at(-1) ?? '');
}

/** What `pattern` finds in the sources below a folder, once each. */
function namesIn(folder: string, pattern: RegExp, but = /^$/): string[] {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => path.endsWith('.ts') && !but.test(path));
  const names = files.flatMap((path) => [...textOf(path).matchAll(pattern)].map(([, name = '']) => name));
  return [...new Set(names)].sort();
}

/** Those that none of the pages shows as code. */
function undocumented(names: readonly string[], on: readonly string[]): string[] {
  const text = on.map(textOf).join('\n');
  return names.filter((name) => !new RegExp(`\`${name}\\b`).test(text));
}

/** As GitHub makes them of headings. */
function anchorsOf(path: string): Set<string> {
  const headings = [...textOf(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function textOf(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}
