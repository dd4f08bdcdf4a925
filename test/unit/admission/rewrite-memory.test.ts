import test from 'ava';
import { rememberingRewriter } from '../../../src/admission/rewrite-memory.ts';
import { compileRules } from '../../../src/image/rules/table.ts';

const table = compileRules({ gilly: { registry: 'my.repo', exclude: [], keepSource: false } });

test('an image is decided once, and what is too long for one is not kept', (t) => {
  const rewriter = () => rememberingRewriter(table, ['gilly'], {});
  t.is(rewriter()('nginx').result, 'my.repo/nginx');
  t.is(rewriter()('nginx'), rewriter()('nginx'));
  const long = 'x'.repeat(1025);
  t.is(rewriter()(long).outcome, 'notReference');
  t.not(rewriter()(long), rewriter()(long));
});
