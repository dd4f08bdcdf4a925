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
