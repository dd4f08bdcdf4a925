import test from 'ava';
import fc from 'fast-check';
import { fitWarnings } from '../../../src/admission/warnings.ts';

test('the API server passes on whatever is made of any warnings', (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 600 }), { maxLength: 40 }), (warnings) => {
      const fit = fitWarnings(warnings);
      const characters = fit.map((each) => [...each].length);
      return (
        characters.every((count) => count <= 256) &&
        characters.reduce((sum, count) => sum + count, 0) <= 4096 &&
        fit.every((each) => !/\p{Cc}/u.test(each) && each.isWellFormed())
      );
    }),
  );
  t.pass();
});

test('each warning is given once; what is too much is counted', (t) => {
  t.deepEqual(fitWarnings(['a', 'b', 'a']), ['a', 'b']);
  const many = fitWarnings(Array.from({ length: 20 }, (_, index) => `w${index}`));
  t.is(many.length, 16);
  t.is(many.at(-1), '5 more images stay as they are');
});

test('secrets are taken out before anything is cut', (t) => {
  const warning = `https://user:s3cr3t-V4lu3@host/${'x'.repeat(400)} stays`;
  t.false(fitWarnings([warning])[0]!.includes('s3cr3t'));
});
