import test from 'ava';
import { parseImageswapMode } from '../../../../src/image/imageswap/mode.ts';

test('a mode is one of two, in any case; none is MAPS, and anything else is none', (t) => {
  t.is(parseImageswapMode(undefined), 'maps');
  t.is(parseImageswapMode('Maps'), 'maps');
  t.is(parseImageswapMode('LEGACY'), 'legacy');
  t.is(parseImageswapMode('MAP'), undefined);
});
