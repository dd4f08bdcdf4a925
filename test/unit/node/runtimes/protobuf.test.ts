import test from 'ava';
import fc from 'fast-check';
import { textField } from '../../../../src/node/runtimes/protobuf.ts';

/** As the encoder of any language writes it. */
function varint(value: bigint): number[] {
  return value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...varint(value >> 7n)];
}

const fields = fc.oneof(
  fc.record({
    number: fc.integer({ min: 1, max: 400 }),
    text: fc.string({ unit: 'grapheme', maxLength: 300 }),
  }),
  fc.record({ number: fc.integer({ min: 1, max: 400 }), value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  fc.record({ number: fc.integer({ min: 1, max: 400 }), fixed: fc.constantFrom(4, 8) }),
);

function encode(field: { number: number; text?: string; value?: bigint; fixed?: number }): Buffer {
  const tag = (type: number) => varint(BigInt(field.number) * 8n + BigInt(type));
  if (field.value !== undefined) return Buffer.from([...tag(0), ...varint(field.value)]);
  if (field.fixed !== undefined)
    return Buffer.concat([Buffer.from(tag(field.fixed === 8 ? 1 : 5)), Buffer.alloc(field.fixed, 0xff)]);
  const text = Buffer.from(field.text ?? '');
  return Buffer.concat([Buffer.from([...tag(2), ...varint(BigInt(text.length))]), text]);
}

test('of any fields the last text of the number is found', (t) => {
  fc.assert(
    fc.property(fc.array(fields), fc.integer({ min: 1, max: 400 }), (all, other) => {
      const message = Buffer.concat(all.map(encode));
      for (const number of [other, ...all.map((each) => each.number)]) {
        const last = all.findLast((each) => each.number === number && 'text' in each);
        t.is(textField(message, number), last === undefined ? undefined : (last as { text: string }).text);
      }
    }),
  );
});

test('what is no message is a RangeError, never an endless loop', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        textField(Buffer.from(bytes), 1);
      } catch (error) {
        t.true(error instanceof RangeError);
      }
    }),
    { numRuns: 2000 },
  );
  t.throws(() => textField(Buffer.from([0x0a, 0x05, 0x61]), 1), { instanceOf: RangeError });
  t.throws(() => textField(Buffer.alloc(20, 0xff), 1), { instanceOf: RangeError });
});
