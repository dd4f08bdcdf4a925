/** The release workflow cannot run here; what it asks of the repository is there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { load } from 'js-yaml';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, string>>;
}

interface Job {
  readonly permissions: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
  readonly needs?: readonly string[];
}

const root = join(import.meta.dirname, '../..');
const workflow = load(text('.github/workflows/release.yaml')) as {
  readonly permissions: object;
  readonly jobs: Readonly<Record<string, Job>>;
};
const jobs = Object.entries(workflow.jobs);
const steps = jobs.flatMap(([, job]) => job.steps);
const commands = steps.map(({ run = '' }) => run).join('\n');

test('every target, script and program that it runs is there', (t) => {
  const targets = [...commands.matchAll(/^make ([\w-]+)/gm)].map(([, target = '']) => target);
  t.deepEqual(targets, ['test']);
  for (const target of targets) t.regex(text('Makefile'), new RegExp(`^${target}:`, 'm'));
  const files = [...commands.matchAll(/\b(?:scripts|test|deploy)\/[\w./-]+\w/g)].map(([file]) => file);
  t.true(files.includes('scripts/release-notes.ts') && files.includes('test/helm/build'));
  t.deepEqual(
    files.filter((file) => !existsSync(join(root, file))),
    [],
  );
});

test('the image takes its name by the argument of the Dockerfile, and the chart by its one value', (t) => {
  const build = steps.find(({ uses }) => uses?.startsWith('docker/build-push-action@'));
  const argument = build?.with?.['build-args']?.split('=')[0];
  t.regex(text('Dockerfile'), new RegExp(`^ARG ${argument}=`, 'm'));
  t.is(text('deploy/chart/values.yaml').match(/^ {2}repository: registry-mirror-operator$/gm)?.length, 1);
});

test('nothing is published before all tests have passed, and nobody may do more than his work', (t) => {
  t.deepEqual(workflow.permissions, {});
  t.deepEqual(
    jobs.map(([name, { permissions }]) => [name, permissions]),
    [
      ['notes', { contents: 'read' }],
      ['test', { contents: 'read' }],
      ['publish', { contents: 'read', 'id-token': 'write' }],
      ['announce', { contents: 'write' }],
    ],
  );
  t.deepEqual(workflow.jobs['publish']?.needs, ['notes', 'test']);
  t.deepEqual(workflow.jobs['announce']?.needs, ['publish']);
});

test('every action is that of one commit', (t) => {
  const used = steps.flatMap(({ uses = [] }) => uses);
  t.deepEqual(
    used.filter((each) => !/@[0-9a-f]{40}$/.test(each)),
    [],
  );
});

function text(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}
