// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StateSync, type Tree } from '../src/protocol/state_sync';

function recorder() {
  const trees: Tree[] = [];
  let gaps = 0;
  const sync = new StateSync({ on_tree: (tree) => trees.push(tree), on_gap: () => gaps++ });
  return { sync, trees, last: () => JSON.stringify(trees[trees.length - 1]), gaps: () => gaps };
}

test('snapshot, then patches in order', () => {
  const r = recorder();
  r.sync.snapshot(7, { call: { muted: false } });
  r.sync.patch(8, { call: { muted: true } });
  r.sync.patch(9, { web: { sessions: 2 } });
  assert.equal(r.last(), '{"call":{"muted":true},"web":{"sessions":2}}');
  assert.equal(r.sync.rev, 9);
  assert.equal(r.gaps(), 0);
});

test('a gap asks once for a snapshot and ignores patches until it comes', () => {
  const r = recorder();
  r.sync.snapshot(1, { n: 1 });
  r.sync.patch(3, { n: 3 });
  r.sync.patch(4, { n: 4 });
  assert.equal(r.gaps(), 1);
  assert.equal(r.last(), '{"n":1}');
  r.sync.snapshot(4, { n: 4 });
  r.sync.patch(5, { n: 5 });
  assert.equal(r.last(), '{"n":5}');
  r.sync.patch(9, { n: 9 });
  assert.equal(r.gaps(), 2);
});

test('patches that the snapshot already holds are ignored', () => {
  const r = recorder();
  r.sync.snapshot(5, { n: 5 });
  r.sync.patch(5, { n: 0 });
  r.sync.patch(4, { n: 0 });
  assert.equal(r.last(), '{"n":5}');
  assert.equal(r.gaps(), 0);
});

test('patches before the first snapshot and after a lost connection are ignored', () => {
  const r = recorder();
  r.sync.patch(1, { n: 1 });
  assert.equal(r.trees.length, 0);
  r.sync.snapshot(1, { n: 1 });
  r.sync.forget();
  r.sync.patch(2, { n: 2 });
  assert.equal(r.last(), '{"n":1}');
  assert.equal(r.gaps(), 0);
});

test('a resync keeps the identity of what did not change', () => {
  const r = recorder();
  r.sync.snapshot(1, { a: { list: [1, 2] }, b: { n: 1 } });
  r.sync.snapshot(9, { a: { list: [1, 2] }, b: { n: 2 } });
  assert.equal(r.trees[1]!.a, r.trees[0]!.a);
  assert.notEqual(r.trees[1]!.b, r.trees[0]!.b);
});

test('a snapshot removes what it no longer holds', () => {
  const r = recorder();
  r.sync.snapshot(1, { a: 1, error: { id: 'NET-950' } });
  r.sync.snapshot(2, { a: 1 });
  assert.equal(r.last(), '{"a":1}');
});
