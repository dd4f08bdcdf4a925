import test from 'ava';
import { readMapSettings } from '../../../src/config/map-environment.ts';
import type { ConfigError } from '../../../src/config/problems.ts';

function problems(env: Record<string, string>): readonly string[] {
  try {
    readMapSettings(env);
    return [];
  } catch (error) {
    return (error as ConfigError).problems;
  }
}

test('a scheme that has no map is one fault, with the value that was given', (t) => {
  const expected = 'ADDRESSING_SCHEME: expected services with --map-update and --map-check';
  t.deepEqual(problems({ ADDRESSING_SCHEME: 'bogus' }), [`${expected}, got "bogus"`]);
  t.deepEqual(problems({ ADDRESSING_SCHEME: 'hostess' }), [`${expected}, got "hostess"`]);
  t.deepEqual(problems({}), [expected]);
  t.deepEqual(problems({ ADDRESSING_SCHEME: ' services ' }), []);
});
