import test from 'ava';
import { clientChallenge } from '../../../../../src/cache/broker/access/client-challenge.ts';

test('of several challenges a client is told one, Bearer before Basic, without what was said of an earlier token', (t) => {
  t.is(
    clientChallenge(
      'Basic realm="r", Bearer realm="https://auth.test/token",service="s",scope="repository:a/b:pull",error="invalid_token"',
    ),
    'Bearer realm="https://auth.test/token",service="s",scope="repository:a/b:pull"',
  );
  t.is(
    clientChallenge('Negotiate abc==, Basic realm="r", charset="UTF-8"'),
    'Basic realm="r",charset="UTF-8"',
  );
});

test('what no client could use is no challenge, and nothing breaks out of a header', (t) => {
  for (const text of [undefined, '', 'Bearer', 'Negotiate', 'Bearer service="s"'])
    t.is(clientChallenge(text), undefined);
  t.is(clientChallenge('Bearer realm="a\\"b\\\\c\u0000\r\nX: y"'), 'Bearer realm="a\\"b\\\\cX: y"');
});
