/** Python literals as `ast.literal_eval` takes them, but for bytes, sets and complex numbers, which no setting is made of. Pure. */

interface Token {
  readonly kind: 'text' | 'number' | 'word' | 'mark';
  readonly value: string;
}

/** Tokens, and how many of them were taken. */
interface Tokens {
  readonly list: readonly Token[];
  taken: number;
}

/** Returns the value: dicts as objects, lists and tuples as arrays, None as null. Throws `SyntaxError` on anything else. */
export function parsePythonLiteral(text: string): unknown {
  const tokens = { list: [...tokensOf(text), { kind: 'mark', value: end }] as const, taken: 0 };
  if (tokens.list.length === 1) throw notPython();
  return readGroup(tokens, end);
}

/** Behind the last token. A tuple needs no parentheses. */
const end = '';

const token =
  /(?:([uUrR]?)("""|'''|["'])((?:\\[\s\S]|(?!\2)[^\\])*)\2|([[\]{}(),:])|(None|True|False)\b|([+-]?\s*(?:0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))(?!\w))(?:\s|#.*)*/y;

function tokensOf(text: string): Token[] {
  const found: Token[] = [];
  token.lastIndex = /^\s*/.exec(text)?.[0].length ?? 0;
  while (token.lastIndex < text.length) {
    const match = token.exec(text);
    if (!match) throw notPython();
    const [, prefix = '', quote, body = '', mark, word, number = ''] = match;
    if (quote !== undefined) found.push({ kind: 'text', value: /r/i.test(prefix) ? body : unescaped(body) });
    else if (mark !== undefined) found.push({ kind: 'mark', value: mark });
    else if (word !== undefined) found.push({ kind: 'word', value: word });
    else found.push({ kind: 'number', value: number });
  }
  return found;
}

function readValue(tokens: Tokens): unknown {
  const { kind, value } = take(tokens);
  switch (kind) {
    case 'text':
      return value + readFurtherTexts(tokens);
    case 'number':
      return numberOf(value);
    case 'word':
      return value === 'None' ? null : value === 'True';
    case 'mark':
      if (value === '[') return readItems(tokens, ']', readValue).items;
      if (value === '(') return readGroup(tokens, ')');
      if (value === '{') return Object.fromEntries(readItems(tokens, '}', readPair).items);
      throw notPython();
  }
}

/** A tuple, unless it is one value without a comma: that is the value. */
function readGroup(tokens: Tokens, close: string): unknown {
  const { items, endsInComma } = readItems(tokens, close, readValue);
  return items.length === 1 && !endsInComma ? items[0] : items;
}

/** What stands up to `close`, with commas in between and perhaps one more behind. */
function readItems<T>(
  tokens: Tokens,
  close: string,
  read: (tokens: Tokens) => T,
): { readonly items: readonly T[]; readonly endsInComma: boolean } {
  const items: T[] = [];
  let endsInComma = true;
  while (!takesMark(tokens, close)) {
    if (!endsInComma) throw notPython();
    items.push(read(tokens));
    endsInComma = takesMark(tokens, ',');
  }
  return { items, endsInComma };
}

/** Keys become texts, as in JSON. */
function readPair(tokens: Tokens): readonly [string, unknown] {
  const key = readValue(tokens);
  const isKey = typeof key === 'string' || typeof key === 'number';
  if (!isKey || !takesMark(tokens, ':')) throw notPython();
  return [String(key), readValue(tokens)];
}

/** Texts side by side are one. */
function readFurtherTexts(tokens: Tokens): string {
  let further = '';
  while (tokens.list[tokens.taken]?.kind === 'text') further += take(tokens).value;
  return further;
}

function take(tokens: Tokens): Token {
  const next = tokens.list[tokens.taken];
  if (next === undefined) throw notPython();
  tokens.taken += 1;
  return next;
}

function takesMark(tokens: Tokens, mark: string): boolean {
  const { kind, value } = tokens.list[tokens.taken] ?? {};
  if (kind !== 'mark' || value !== mark) return false;
  tokens.taken += 1;
  return true;
}

function numberOf(text: string): number {
  const [, sign, digits = ''] = /^([+-]?)\s*(.*)$/s.exec(text.replaceAll('_', '')) ?? [];
  return sign === '-' ? -Number(digits) : Number(digits);
}

const escapeSequence =
  /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|(\r?\n|[\s\S]))/g;

const escapes: Readonly<Record<string, string>> = {
  ...{ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' },
  ...{ '\\': '\\', "'": "'", '"': '"', '\n': '', '\r\n': '' },
};

function unescaped(body: string): string {
  return body.replace(escapeSequence, (whole, x, u, long, octal, other) => {
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
    const hex = x ?? u ?? long;
    if (hex === undefined) return unescapedOne(whole, other);
    const code = Number.parseInt(hex, 16);
    if (code > 0x10_ffff) throw notPython();
    return String.fromCodePoint(code);
  });
}

/** An escape that Python does not know stays as it is; one that it does not understand is a fault. */
function unescapedOne(whole: string, letter: string): string {
  if (/^[xuUN]$/.test(letter)) throw notPython();
  return escapes[letter] ?? whole;
}

function notPython(): SyntaxError {
  return new SyntaxError('not a Python literal');
}
