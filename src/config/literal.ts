/** Reads structured environment values: JSON, YAML flow style, or Python literals as the original operator took them. */
import { load } from 'js-yaml';

/** Returns the value of a JSON, YAML flow or Python literal text; throws `SyntaxError` when it is none of them. */
export function parseLiteral(text: string): unknown {
  for (const read of [JSON.parse, readPython, readYamlFlow]) {
    try {
      return read(text);
    } catch {
      // The next syntax may fit.
    }
  }
  throw new SyntaxError('neither JSON, YAML flow style nor a Python literal');
}

function readYamlFlow(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) throw new SyntaxError('not flow style');
  return load(text);
}

const token =
  /\s*(?:(['"])((?:\\[\s\S]|(?!\1)[^\\])*)\1|([[\]{}(),:])|(None|True|False)\b|(-?\d+(?:\.\d+)?))/y;
const words: Record<string, string> = { None: 'null', True: 'true', False: 'false', '(': '[', ')': ']' };
const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", '"': '"' };

/** Rewrites a Python literal of dicts, lists, tuples, strings, numbers, None and booleans to JSON and parses that. */
function readPython(text: string): unknown {
  const parts: string[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < text.trimEnd().length) {
    const match = token.exec(text);
    if (!match) throw new SyntaxError('not a Python literal');
    const [, quote, string = '', mark, word, number] = match;
    const plain = words[mark ?? word ?? ''] ?? mark ?? number ?? '';
    if (/^[\]}]$/.test(plain) && parts.at(-1) === ',') parts.pop();
    parts.push(quote ? JSON.stringify(string.replace(/\\([\s\S])/g, unescapeOne)) : plain);
  }
  return JSON.parse(parts.join(''));
}

function unescapeOne(whole: string, letter: string): string {
  return escapes[letter] ?? whole;
}
