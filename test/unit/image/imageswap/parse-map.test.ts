import test from 'ava';
import fc from 'fast-check';
import { chainFaults } from '../../../../src/image/imageswap/chains.ts';
import { parseMap } from '../../../../src/image/imageswap/parse-map.ts';

/** `kind key=value@line`. */
function shown(text: string): string[] {
  return parseMap(text).entries.map(({ kind, key, value, line }) => `${kind} ${key}=${value}@${line}`);
}

test('both separators, keywords, comments, blanks and every end of line are read', (t) => {
  const text =
    '# c\n  # c\r\n\rdefault: # d\n gcr.io :: g.local/p ## x\n[EXACT] nginx ::my/nginx:1#c\n[REPLACE]quay.io/*::q\n';
  t.deepEqual(shown(text), [
    'registry default=@4',
    'registry gcr.io=g.local/p@5',
    'exact nginx=my/nginx:1@6',
    'replace quay.io/*=q@7',
  ]);
  t.deepEqual(parseMap(text).faults, []);
});

test('a byte order mark is no part of the first key', (t) => {
  t.deepEqual(shown('\ufeffdefault::x'), ['registry default=x@1']);
});

test('the last line of a key is in force, at the place of the first', (t) => {
  t.deepEqual(shown('[REPLACE]a::b\n[REPLACE]c::d\n[REPLACE]a::e'), ['replace a=e@3', 'replace c=d@2']);
});

/** A line, what is said of it, and whether it is in force all the same. */
const wrong: readonly [string, RegExp, boolean?][] = [
  ['a.io::b::c', /one ::/],
  ['g.io:h.io:5000', /a port in key or value needs ::/],
  ['d.io;e', /expected KEY::VALUE/],
  ['::x', /key is empty/],
  [':', /key is empty/],
  ['[EXACT]::x', /key is empty/],
  ['a.io::b.local # c # d', /second #/],
  ['\tf.io::g.local', /tab/],
  ['[EXACT]x::', /cannot be made empty.*\[EXACT\]x::x/],
  ['[EXACT]nginx:1.25', /1\.25 may be a tag of nginx/],
  ['[EXACT]nginx::No Image', /NoImage is no image reference/, true],
  ['[exact]foo::bar', /in capitals/],
  ['foo::bar', /foo is no registry/],
  ['quay.io/org::bar', /quay.io\/org is no registry/],
  ['gcr.io/library::x', /only docker\.io/],
  ['m.io:5000::1.2.3.4/m.io:5000', /no registry and no beginning of a name.*unchanged/, true],
  ['a.io::https://b', /https:\/\/b is no registry/, true],
  ['[REPLACE]a*::b/m-', /unchanged/, true],
  ['noswap_wildcards::twr.io,', /empty item/, true],
  ['docker.io/library::h/l', /no line for docker\.io/, true],
];

for (const [line, why, inForce = false] of wrong) {
  test(`${JSON.stringify(line)} is reported with its number`, (t) => {
    const { entries, faults } = parseMap(`default::d\n${line}\nquay.io::q.local\n`);
    t.deepEqual(
      faults.map(({ line: number }) => number),
      [2],
    );
    t.regex(faults[0]!.why, why);
    t.deepEqual(
      entries.map((entry) => entry.line),
      inForce ? [1, 2, 3] : [1, 3],
    );
  });
}

test('a map with registry lines and no default is reported as a whole', (t) => {
  t.deepEqual(parseMap('docker.io::x.local').faults, [
    { line: 0, why: 'without a line default:: no registry line is in force' },
  ]);
  t.deepEqual(parseMap('[EXACT]a::b').faults, []);
  t.deepEqual(parseMap('').faults, []);
});

test('no text is too much, and no line is reported twice', (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(fc.string(), fc.constantFrom('[EXACT]', '::', ':', '#', '\n', ' ', 'a.io', 'default')),
      ),
      (pieces) => {
        const { faults } = parseMap(pieces.join(''));
        const numbers = faults.map(({ line }) => line);
        t.deepEqual(
          numbers,
          [...new Set(numbers)].sort((a, b) => a - b),
        );
      },
    ),
  );
});

test('circles, and lines for what another line makes, are told', (t) => {
  const faults = (text: string) =>
    chainFaults(parseMap(text).entries).map(({ line, why }) => `${line}: ${why}`);
  t.deepEqual(faults('default::\na.io::b.io\nb.io::a.io\nc.io::d.io\nd.io::'), [
    '2: imageswap:2 a.io and others lead in a circle or have no end; images of a.io stay unchanged',
    '3: imageswap:3 b.io and others lead in a circle or have no end; images of b.io stay unchanged',
  ]);
  t.deepEqual(faults('[EXACT]a::b\n[EXACT]b::c\n[EXACT]d::d'), [
    '2: never applies: b is what line 1 makes, and stays',
  ]);
});
