// SPDX-License-Identifier: Apache-2.0
import type { Json } from '../protocol/merge_patch';
import { text } from '../text';

export type FieldKind = 'bool' | 'number' | 'choice' | 'choices' | 'list' | 'secret' | 'text';

/** One setting as the phone lists it, in the form the page works with. */
export interface SettingRow {
  name: string;
  title: string;
  kind: FieldKind;
  /** What is in the field: 'true'/'false', a number's text, lines of a list … */
  value: string;
  /** The factory's value in the same form. */
  fallback: string;
  /** A secret that has a value, which is never shown. */
  is_set: boolean;
  layer: string;
  locked: boolean;
  unit: string;
  min: number | undefined;
  max: number | undefined;
  choices: string[];
  group: string;
  help: string;
  /** 'reboot' or 'call' when the value counts only after one. */
  restart: string;
}

type Fields = { [key: string]: Json };

const is_fields = (value: Json | undefined): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const string_of = (value: Json | undefined): string =>
  typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';

/** The answer to settings.list: an array of rows, or an object that holds one. */
export function rows_of_answer(answer: Json): SettingRow[] {
  const list = Array.isArray(answer)
    ? answer
    : is_fields(answer)
      ? (Object.values(answer).find(Array.isArray) ?? [])
      : [];
  return list.filter(is_fields).flatMap((fields) => {
    const row = row_of(fields);
    return row ? [row] : [];
  });
}

function row_of(fields: Fields): SettingRow | undefined {
  const name = string_of(fields.name);
  if (name === '' || fields.kind === 'per_call') return undefined;
  const { min, max, choices } = range_of(fields);
  const kind = kind_of(fields, choices);
  const locked = fields.locked === true || fields.kind === 'state' || fields.read_only === true;
  return {
    name,
    title: string_of(fields.title) || name,
    kind,
    value: kind === 'secret' ? '' : text_of(fields.value),
    fallback: text_of(fields.default),
    is_set: fields.set === true,
    layer: string_of(fields.layer),
    locked,
    unit: string_of(fields.unit),
    min,
    max,
    choices,
    group: string_of(fields.group) || text.settings.other,
    help: string_of(fields.help),
    restart: string_of(fields.restart),
  };
}

function kind_of(fields: Fields, choices: string[]): FieldKind {
  if (fields.secret === true) return 'secret';
  switch (string_of(fields.type)) {
    case 'bool':
      return 'bool';
    case 'int':
    case 'port':
    case 'float':
    case 'number':
      return 'number';
    case 'enum':
      return choices.length > 0 ? 'choice' : 'text';
    case 'set':
      return choices.length > 0 ? 'choices' : 'list';
    case 'list':
      return 'list';
    case 'password':
      return 'secret';
    default:
      return 'text';
  }
}

/** A range is {min, max, values}, [min, max], a list of words, or the same beside the name. */
function range_of(fields: Fields): Pick<SettingRow, 'min' | 'max' | 'choices'> {
  const range = fields.range;
  const source: Fields = is_fields(range) ? { ...fields, ...range } : fields;
  const as_number = (value: Json | undefined) => (typeof value === 'number' ? value : undefined);
  const words = (value: Json | undefined) =>
    Array.isArray(value) ? value.filter((v): v is string => typeof v === 'string') : [];
  const numbers = Array.isArray(range) && range.every((v) => typeof v === 'number') ? range : [];
  const choices = [words(range), words(source.values), words(source.allowed)].find(
    (list) => list.length > 0,
  );
  return {
    min: as_number(numbers[0]) ?? as_number(source.min),
    max: as_number(numbers[1]) ?? as_number(source.max),
    choices: choices ?? [],
  };
}

/** A value as the text of its field; a list has one entry a line. */
function text_of(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map((v) => string_of(v)).join('\n');
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

export const lines_of = (value: string): string[] =>
  value
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

/** The value that is sent for the text of a field. */
export function json_of_field(row: SettingRow, value: string): Json {
  switch (row.kind) {
    case 'bool':
      return value === 'true';
    case 'number':
      return Number(value);
    case 'list':
    case 'choices':
      return lines_of(value);
    default:
      return value;
  }
}

/** What is wrong with a field, as far as the page can tell; the phone checks everything again. */
export function problem_of_field(row: SettingRow, value: string): string | undefined {
  if (row.kind !== 'number') return undefined;
  const number = Number(value);
  if (value.trim() === '' || !Number.isFinite(number)) return text.settings.number_wrong;
  if (row.min !== undefined && number < row.min) return text.settings.below(String(row.min));
  if (row.max !== undefined && number > row.max) return text.settings.above(String(row.max));
  return undefined;
}

/** Rows by group in the order of the catalogue; every word of the query must occur in a row. */
export function grouped(rows: SettingRow[], query: string): [string, SettingRow[]][] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map<string, SettingRow[]>();
  for (const row of rows) {
    const all = `${row.name} ${row.title} ${row.group} ${row.help}`.toLowerCase();
    if (!words.every((word) => all.includes(word))) continue;
    const list = groups.get(row.group);
    if (list) list.push(row);
    else groups.set(row.group, [row]);
  }
  return [...groups];
}
