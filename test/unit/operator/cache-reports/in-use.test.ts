import test from 'ava';
import { inUse, type Use } from '../../../../src/operator/cache-reports/in-use.ts';

const now = new Date('2026-01-10T12:00:00Z');
const daysAgo = (days: number) => now.getTime() - days * 86_400_000;
const at = (days: number) => new Date(daysAgo(days)).toISOString();
const alias = { name: 'mirror-docker.io', since: daysAgo(3) };

function judged(use: Partial<Use>) {
  const { status, reason, message } = inUse({ told: true, lastPull: undefined, served: '0 B', ...use }, now);
  return { is: `${status} ${reason}`, message };
}

test('A pull within a day is use, and so is a node that asked', (t) => {
  t.is(judged({ lastPull: at(0.9) }).is, 'True Pulled');
  t.is(judged({ lastUsed: at(0.9) }).is, 'True Used');
  t.is(judged({ lastUsed: at(0.1), told: false }).is, 'True Used', 'also while no replica tells');
  t.is(judged({ lastPull: at(1.1), lastUsed: at(1.1) }).is, 'False NotUsed');
  t.is(judged({ told: false }).is, 'Unknown NoReport');
});

test('A name that nobody has used for a day is said to be in no image reference, with what helps', (t) => {
  const { is, message } = judged({ alias });
  t.is(is, 'False AliasUnused');
  t.regex(
    message,
    /no image reference names mirror-docker\.io; spec\.nodes\.wire: transparent needs no change/,
  );
});

test('That is not said of a new mirror, of one that was used, or where other names lead to it', (t) => {
  t.is(judged({ alias: { ...alias, since: daysAgo(0.9) } }).is, 'False NotUsed');
  t.is(judged({ alias, lastPull: at(2) }).is, 'False NotUsed');
  t.is(judged({ alias, lastUsed: at(2) }).is, 'False NotUsed');
  t.is(judged({ alias, lastUsed: at(0.5) }).is, 'True Used');
  t.is(judged({}).is, 'False NotUsed');
});
