/** Reads structured environment values: JSON, YAML flow style, or Python literals as the original operator took them. */
import { load } from 'js-yaml';
import { parsePythonLiteral } from './python-literal.ts';

/** Returns the value of a JSON, YAML flow or Python literal text; throws `SyntaxError` when it is none of them. */
export function parseLiteral(text: string): unknown {
  for (const read of [JSON.parse, parsePythonLiteral, readYamlFlow]) {
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
