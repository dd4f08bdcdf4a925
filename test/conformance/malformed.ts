/** Names and references that can name nothing (the grammar under Pulling manifests), and the form of errors. */
import assert from 'node:assert/strict';
import { expectErrorForm } from './expect.ts';
import { ask, type Check, type Subject } from './subject.ts';

const grammar = 'Pulling manifests (end-2, end-3): grammar of <name>, <reference> and <digest>';

/** Refused, in a way that no client takes for content: the specification leaves open with which of the two. */
async function expectRefused(subject: Subject, repository: string, rest: string): Promise<void> {
  for (const method of ['GET', 'HEAD'] as const) {
    const answer = await ask(subject, repository, rest, { method });
    assert.ok([400, 404].includes(answer.status), `${method} ${repository}/${rest}: ${answer.status}`);
    expectErrorForm(answer);
  }
}

function refuses(id: string, title: string, cases: (subject: Subject) => [string, string][]): Check {
  return {
    id,
    section: grammar,
    title,
    async run(subject) {
      for (const [repository, rest] of cases(subject)) await expectRefused(subject, repository, rest);
    },
  };
}

export const malformedChecks: readonly Check[] = [
  refuses(
    'bad-tag',
    'a tag that begins with a dot or a hyphen, has other characters or is too long is refused',
    (subject) =>
      ['.hidden', '-option', 'a~b', 'a%20b', 'x'.repeat(129)].map((tag) => [
        subject.content.repository,
        `manifests/${tag}`,
      ]),
  ),
  refuses(
    'bad-digest',
    'a digest that is cut short, has other characters or an unknown algorithm is refused',
    (subject) =>
      ['sha256:', 'sha256:abc', `sha256:${'z'.repeat(64)}`, `md7:${'0'.repeat(64)}`, 'latest'].map(
        (digest) => [subject.content.repository, `blobs/${digest}`],
      ),
  ),
  refuses(
    'bad-name',
    'a name with capitals, with separators at its ends or with too many of them is refused',
    () =>
      [
        'Conformance/App',
        'conformance/-app',
        'conformance/app_',
        'conformance/a..b',
        'conformance/a___b',
      ].map((name) => [name, 'manifests/v1.2']),
  ),
  {
    id: 'error-form',
    section: 'Error Codes',
    title: 'what is not there is told in JSON with a code that clients know',
    async run(subject) {
      const answers = [
        await ask(subject, subject.content.repository, 'manifests/nothing-here'),
        await ask(subject, subject.content.repository, `blobs/sha256:${'0'.repeat(64)}`),
        await ask(subject, 'conformance/nobody', 'tags/list'),
      ];
      for (const answer of answers) {
        assert.match(answer.headers['content-type'] ?? '', /^application\/json\b/);
        expectErrorForm(answer);
        const { errors } = JSON.parse(answer.body.toString()) as { errors: { code: string }[] };
        const known = ['BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN', 'MANIFEST_UNKNOWN', 'NAME_UNKNOWN'];
        assert.ok(known.includes(errors[0]?.code ?? ''), `a known code, not ${errors[0]?.code}`);
      }
    },
  },
];
