/** Listing tags (end-8a, end-8b). */
import assert from 'node:assert/strict';
import { expectNotFound } from './expect.ts';
import { type Answer, ask, askPath, type Check, type Subject } from './subject.ts';

const whole = 'Listing Tags (end-8a)';
const pages = 'Listing Tags (end-8b)';

interface TagList {
  readonly name: string;
  readonly tags: readonly string[] | null;
}

function list(subject: Subject, query = ''): Promise<Answer> {
  return ask(subject, subject.content.repository, `tags/list${query}`);
}

function parse(answer: Answer): TagList {
  assert.equal(answer.status, 200);
  assert.match(answer.headers['content-type'] ?? '', /^application\/json\b/);
  return JSON.parse(answer.body.toString()) as TagList;
}

/** The target of `Link` with the relation `next`; a path, or a URL. */
function next({ headers }: Answer): string | undefined {
  const link = headers['link'];
  if (link === undefined) return undefined;
  const [, target] = /^<([^>]+)>;\s*rel="?next"?$/.exec(String(link)) ?? [];
  assert.ok(target, `a Link of RFC 5988, not ${link}`);
  const { pathname, search } = new URL(target, 'https://registry');
  return pathname + search;
}

export const tagChecks: readonly Check[] = [
  {
    id: 'tags',
    section: whole,
    title: 'all tags are listed in the order of their bytes, under the name they were asked for',
    async run(subject) {
      const { name, tags } = parse(await list(subject));
      assert.equal(name, subject.content.repository);
      assert.deepEqual(tags, subject.content.tags);
    },
  },
  {
    id: 'tags-of-nobody',
    section: `${whole}, Error Codes`,
    title: 'tags of a repository that is not there are 404',
    async run(subject) {
      expectNotFound(await ask(subject, 'conformance/nobody', 'tags/list'));
    },
  },
  {
    id: 'tags-n',
    section: pages,
    title: 'n limits the list from its start, and a Link leads on',
    async run(subject) {
      const answer = await list(subject, '?n=2');
      assert.deepEqual(parse(answer).tags, subject.content.tags.slice(0, 2));
      assert.ok(next(answer));
    },
  },
  {
    id: 'tags-pages',
    section: pages,
    title: 'whoever follows the Links gets every tag once',
    async run(subject) {
      const seen: string[] = [];
      for (let answer = await list(subject, '?n=3'); ; ) {
        seen.push(...(parse(answer).tags ?? []));
        const path = next(answer);
        if (path === undefined) break;
        answer = await askPath(subject, path);
      }
      assert.deepEqual(seen, subject.content.tags);
    },
  },
  {
    id: 'tags-last',
    section: pages,
    title: 'last begins behind that tag',
    async run(subject) {
      const { tags } = subject.content;
      assert.deepEqual(parse(await list(subject, `?n=2&last=${tags[2]}`)).tags, tags.slice(3, 5));
      assert.deepEqual(parse(await list(subject, `?last=${tags[2]}`)).tags, tags.slice(3));
    },
  },
  {
    id: 'tags-n-large',
    section: pages,
    title: 'n that is larger than the list gives all of it and no Link',
    async run(subject) {
      const answer = await list(subject, '?n=100');
      assert.deepEqual(parse(answer).tags, subject.content.tags);
      assert.equal(next(answer), undefined);
    },
  },
  {
    id: 'tags-n-zero',
    section: pages,
    title: 'n of zero gives an empty list and no Link',
    async run(subject) {
      const answer = await list(subject, '?n=0');
      assert.deepEqual(parse(answer).tags ?? [], []);
      assert.equal(next(answer), undefined);
    },
  },
];
