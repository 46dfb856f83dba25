// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff_ms } from '../src/protocol/backoff';
import { RpcClient, RpcError, kNoAnswer } from '../src/protocol/json_rpc';

function client(timeout_ms = 1000) {
  const sent: { id: number; method: string; params: unknown }[] = [];
  const notified: [string, unknown][] = [];
  const rpc = new RpcClient({
    send: (text) => sent.push(JSON.parse(text) as (typeof sent)[number]),
    on_notification: (method, params) => notified.push([method, params]),
    timeout_ms,
  });
  return { rpc, sent, notified };
}

test('answers reach their call whatever their order', async () => {
  const { rpc, sent } = client();
  const first = rpc.call('a', {});
  const second = rpc.call('b', { x: 1 });
  assert.deepEqual(sent[1], { jsonrpc: '2.0', id: 2, method: 'b', params: { x: 1 } });
  rpc.receive('{"jsonrpc":"2.0","id":2,"result":"two"}');
  rpc.receive('{"jsonrpc":"2.0","id":1,"result":"one"}');
  assert.deepEqual(await Promise.all([first, second]), ['one', 'two']);
});

test('an error answer carries code, message and data', async () => {
  const { rpc } = client();
  const call = rpc.call('call.join', {});
  const data = '{"id":"JOIN-NOTFOUND","cause":"c","remedy":"r"}';
  rpc.receive(`{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"m","data":${data}}}`);
  await assert.rejects(call, (error: RpcError) => {
    assert.equal(error.code, -32000);
    assert.equal(error.message, 'm');
    assert.deepEqual(error.data, { id: 'JOIN-NOTFOUND', cause: 'c', remedy: 'r' });
    return true;
  });
});

test('notifications are handed on', () => {
  const { rpc, notified } = client();
  rpc.receive('{"jsonrpc":"2.0","method":"state.patch","params":{"rev":2,"patch":{}}}');
  assert.deepEqual(notified, [['state.patch', { rev: 2, patch: {} }]]);
});

test('malformed text, foreign ids and arrays are ignored', () => {
  const { rpc, notified } = client();
  for (const text of ['', '{', '[]', 'null', '1', '{"id":99,"result":1}', '{"id":"x"}']) {
    rpc.receive(text);
  }
  assert.equal(notified.length, 0);
});

test('silence and a lost connection end as kNoAnswer', async () => {
  const { rpc } = client(5);
  const is_no_answer = (error: RpcError) => error.code === kNoAnswer;
  await assert.rejects(rpc.call('slow', {}), is_no_answer);
  const waiting = rpc.call('x', {}, 1000);
  rpc.abandon('gone');
  await assert.rejects(waiting, is_no_answer);
});

test('waiting times grow to ten seconds and no further', () => {
  const times = [0, 1, 2, 3, 4, 5, 50].map((attempt) => backoff_ms(attempt, 1));
  assert.deepEqual(times, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  assert.equal(backoff_ms(0, 0), 400);
});
