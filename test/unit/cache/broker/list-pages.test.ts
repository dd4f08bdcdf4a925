import test from 'ava';
import { nextPage, upstreamQuery } from '../../../../src/cache/broker/list-pages.ts';
import { processorTime } from '../../../support/processor-time.ts';

for (const [link, query] of [
  ['</v2/a/tags/list?last=b&n=2>; rel="next"', 'n=2&last=b'],
  ['<https://elsewhere.example/v2/a/tags/list?n=2&last=b>;rel=next', 'n=2&last=b'],
  ['<?last=b>; title="a, <b>; rel=prev"; REL="Next"', 'last=b'],
  ['</v2/a?last=a>; rel="prev", </v2/a?last=b>; rel="next"', 'last=b'],
  ['</v2/a?last=b>; rel="first next"; rel="prev", </v2/a?last=a>; rel=prev', 'last=b'],
  [['</v2/a?last=a>; rel="prev"', '</v2/a?last=b>; rel="next"'], 'last=b'],
  ['</v2/a?n=2&next_page=2>; rel="next"', 'page=%3Fn%3D2%26next_page%3D2'],
  ['</v2/a?cursor=a%2Fb%3D>; rel="next"', 'page=%3Fcursor%3Da%252Fb%253D'],
  ['</v2/a?last=a&last=b>; rel="next"', 'page=%3Flast%3Da%26last%3Db'],
  ['</v2/a?last=%ff>; rel="next"', 'page=%3Flast%3D%25ff'],
  ['</v2/a?opaque>; rel="next"', 'page=%3Fopaque'],
] as const) {
  test(`${JSON.stringify(link)} leads on by ${query}`, (t) => {
    t.is(nextPage(link, 'up.example')?.toString(), query);
  });
}

for (const link of [
  undefined,
  '',
  '</v2/a?last=b>; rel="prev"',
  '</v2/a?last=b>; rel="nextish"',
  '</v2/a?last=b>; title="rel=next"',
  '</v2/a?last=b>, rel="next"',
  '<http://[>; rel="next"',
  '<'.repeat(15_000),
  `<a>${' ;'.repeat(7_000)}${' '.repeat(7_000)}=`,
]) {
  test(`${JSON.stringify(link)?.slice(0, 40)} leads nowhere`, (t) => {
    const ms = processorTime(() => t.is(nextPage(link, 'up.example'), undefined));
    t.true(ms < 500, `${ms} ms`);
  });
}

test('a query that is too long to come back is a fault of the upstream, and no shorter list', (t) => {
  t.throws(() => nextPage(`</v2/a?cursor=${'a'.repeat(5000)}>; rel="next"`, 'up.example'), {
    message: /up[.]example/,
  });
});

for (const query of [
  'n=2&last=b',
  'n=2&next_page=2',
  'cursor=a%2Fb%3D',
  'last=%ff',
  'opaque',
  'a=!*()~|{}',
]) {
  test(`a next page by ?${query} is asked of the upstream as it said`, (t) => {
    const page = nextPage(`</v2/a?${query}>; rel="next"`, 'up.example')!;
    t.is(upstreamQuery(new URLSearchParams(`${page}&ns=docker.io&evil=1`)), `?${query}`);
  });
}
