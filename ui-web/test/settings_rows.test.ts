// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  grouped,
  json_of_field,
  problem_of_field,
  rows_of_answer,
  type SettingRow,
} from '../src/lib/settings_rows';
import type { Json } from '../src/protocol/merge_patch';

const kAnswer: Json = [
  { name: 'A.On', title: 'On', type: 'bool', value: true, default: false, layer: 'local', group: 'A' },
  { name: 'A.Port', type: 'port', value: 8080, range: { min: 1, max: 65535 }, group: 'A', help: 'TCP' },
  { name: 'B.Mode', type: 'enum', value: 'Dual', range: { values: ['Dual', 'Single'] }, group: 'B' },
  { name: 'B.Set', type: 'set', value: ['x'], range: { values: ['x', 'y'] }, group: 'B' },
  { name: 'B.List', type: 'list', value: ['one', 'two'], group: 'B', locked: true },
  { name: 'C.Word', type: 'password', value: '', secret: true, set: true, group: 'C' },
  { name: 'C.State', type: 'string', kind: 'state', value: 'ok' },
  { name: 'C.PerCall', type: 'string', kind: 'per_call', value: '' },
  { title: 'without a name' },
  'not a row',
];

const rows = rows_of_answer(kAnswer);
const row = (name: string): SettingRow => rows.find((r) => r.name === name)!;

test('rows are taken from an array or from the array in an object', () => {
  assert.equal(rows.length, 7);
  assert.equal(rows_of_answer({ settings: kAnswer, rev: 1 }).length, 7);
  assert.deepEqual(rows_of_answer(null), []);
  assert.deepEqual(rows_of_answer('text'), []);
});

test('each type becomes the right field', () => {
  const kinds = Object.fromEntries(rows.map((r) => [r.name, r.kind]));
  assert.deepEqual(kinds, {
    'A.On': 'bool',
    'A.Port': 'number',
    'B.Mode': 'choice',
    'B.Set': 'choices',
    'B.List': 'list',
    'C.Word': 'secret',
    'C.State': 'text',
  });
});

test('values go to the field and back', () => {
  assert.equal(row('A.On').value, 'true');
  assert.equal(row('B.List').value, 'one\ntwo');
  assert.equal(json_of_field(row('A.On'), 'false'), false);
  assert.equal(json_of_field(row('A.Port'), ' 443 '), 443);
  assert.deepEqual(json_of_field(row('B.List'), ' one \n\n three'), ['one', 'three']);
  assert.equal(json_of_field(row('B.Mode'), 'Single'), 'Single');
});

test('locks, state rows, secrets and missing groups', () => {
  assert.equal(row('B.List').locked, true);
  assert.equal(row('C.State').locked, true);
  assert.equal(row('C.State').group, 'Other');
  assert.equal(row('C.Word').is_set, true);
  assert.equal(row('C.Word').value, '');
});

test('a number outside its range is told before it is sent', () => {
  assert.equal(problem_of_field(row('A.Port'), '443'), undefined);
  assert.match(problem_of_field(row('A.Port'), '0')!, /smallest value is 1/);
  assert.match(problem_of_field(row('A.Port'), '65536')!, /largest value is 65535/);
  assert.match(problem_of_field(row('A.Port'), 'many')!, /number/);
  assert.match(problem_of_field(row('A.Port'), ' ')!, /number/);
  assert.equal(problem_of_field(row('B.Mode'), 'anything'), undefined);
});

test('the search needs every word, anywhere in a row', () => {
  const names = (query: string) =>
    grouped(rows, query).flatMap(([, members]) => members.map((r) => r.name));
  assert.equal(names('').length, 7);
  assert.deepEqual(names('a tcp'), ['A.Port']);
  assert.deepEqual(names('MODE'), ['B.Mode']);
  assert.deepEqual(names('nothing like it'), []);
  assert.deepEqual(
    grouped(rows, '').map(([group]) => group),
    ['A', 'B', 'C', 'Other'],
  );
});
