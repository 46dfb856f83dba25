// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { merge_patch, type Json } from '../src/protocol/merge_patch';

// Appendix A of RFC 7396: original, patch, result.
const kRfcCases: [string, string, string][] = [
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', '{}'],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['["a","b"]', '["c","d"]', '["c","d"]'],
  ['{"a":"b"}', '["c"]', '["c"]'],
  ['{"a":"foo"}', 'null', 'null'],
  ['{"a":"foo"}', '"bar"', '"bar"'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
  ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
];

for (const [original, patch, expected] of kRfcCases) {
  test(`RFC 7396: ${original} with ${patch}`, () => {
    const result = merge_patch(JSON.parse(original) as Json, JSON.parse(patch) as Json);
    assert.equal(JSON.stringify(result), expected);
  });
}

test('arguments stay as they were', () => {
  const target = { a: { b: 1 } };
  const patch = { a: { c: 2 } };
  merge_patch(target, patch);
  assert.deepEqual(target, { a: { b: 1 } });
  assert.deepEqual(patch, { a: { c: 2 } });
});

test('untouched branches are shared, touched ones are new', () => {
  const target = { a: { x: 1 }, b: { y: 2 } };
  const result = merge_patch(target, { b: { y: 3 } }) as typeof target;
  assert.equal(result.a, target.a);
  assert.notEqual(result.b, target.b);
});

test('a patch without effect gives the same object', () => {
  const target = { a: { x: 1 } };
  assert.equal(merge_patch(target, { a: { x: 1 }, gone: null }), target);
});

test('a key called __proto__ does not reach the prototype', () => {
  const patch = JSON.parse('{"__proto__":{"polluted":true}}') as Json;
  const result = merge_patch({}, patch) as object;
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  assert.ok(Object.prototype.hasOwnProperty.call(result, '__proto__'));
});
