// SPDX-License-Identifier: Apache-2.0
import { useEffect, useState } from 'preact/hooks';
import '../styles/settings.css';
import {
  grouped,
  json_of_field,
  problem_of_field,
  rows_of_answer,
  type SettingRow,
} from '../lib/settings_rows';
import { as_catalogue_error, linked, rpc } from '../model/phone';
import { refresh_session } from '../model/session';
import type { CatalogueError } from '../model/tree';
import { RpcError } from '../protocol/json_rpc';
import type { Json } from '../protocol/merge_patch';
import { MinusIcon, PlusIcon } from '../parts/icons';
import { ErrorNotice, Notice } from '../parts/notice';
import { SettingField } from '../parts/setting_field';
import { text } from '../text';

/** New text of a field by the setting's name; null takes the local value away. */
type Edits = Readonly<Record<string, string | null>>;
type Problems = Readonly<Record<string, string>>;

export function SettingsPage() {
  const [rows, set_rows] = useState<SettingRow[] | undefined>();
  const [failed, set_failed] = useState<CatalogueError | undefined>();
  const [query, set_query] = useState('');
  const [open, set_open] = useState<ReadonlySet<string>>(new Set());
  const [edits, set_edits] = useState<Edits>({});
  const [problems, set_problems] = useState<Problems>({});
  const [outcome, set_outcome] = useState<{ good: boolean; words: string } | undefined>();
  const [busy, set_busy] = useState(false);
  const words = text.settings;
  const is_linked = linked.value;

  async function load(): Promise<void> {
    set_failed(undefined);
    try {
      set_rows(rows_of_answer(await rpc('settings.list')));
    } catch (error) {
      set_failed(as_catalogue_error(error, words.failed));
    }
  }

  useEffect(() => {
    if (is_linked && !rows) void load();
  }, [is_linked]);

  function edit(row: SettingRow, value: string | null): void {
    const { [row.name]: _old, ...others } = edits;
    set_edits(value === row.value ? others : { ...others, [row.name]: value });
    const { [row.name]: _told, ...other_problems } = problems;
    set_problems(other_problems);
    set_outcome(undefined);
  }

  async function apply(): Promise<void> {
    const changed = (rows ?? []).filter((row) => row.name in edits);
    const found: Record<string, string> = {};
    const values: Record<string, Json> = {};
    for (const row of changed) {
      const value = edits[row.name] ?? null;
      const problem = value === null ? undefined : problem_of_field(row, value);
      if (problem) found[row.name] = problem;
      values[row.name] = value === null ? null : json_of_field(row, value);
    }
    if (Object.keys(found).length > 0) return refuse(found);
    set_busy(true);
    try {
      await rpc('settings.set', { values });
      set_edits({});
      set_problems({});
      set_outcome({ good: true, words: words.applied(changed.length) });
      await Promise.all([load(), refresh_session()]);
    } catch (error) {
      const told = problems_of(error, values);
      if (Object.keys(told).length > 0) refuse(told);
      else {
        const { message } = as_catalogue_error(error, words.apply_failed);
        set_outcome({ good: false, words: message ?? words.apply_failed });
      }
    }
    set_busy(false);
  }

  function refuse(found: Problems): void {
    set_problems(found);
    set_outcome({ good: false, words: words.refused(Object.keys(found).length) });
    const groups = (rows ?? []).filter((row) => row.name in found).map((row) => row.group);
    set_open(new Set([...open, ...groups]));
  }

  function discard(): void {
    set_edits({});
    set_problems({});
    set_outcome(undefined);
  }

  const groups = grouped(rows ?? [], query);
  const searching = query.trim() !== '';
  const all_open = groups.every(([name]) => open.has(name));
  const toggle = (name: string) => {
    const next = new Set(open);
    if (!next.delete(name)) next.add(name);
    set_open(next);
  };
  const changes = Object.keys(edits).length;

  return (
    <div class="settings">
      <div>
        <h1>{words.heading}</h1>
        <p class="soft">{words.lead}</p>
      </div>
      <div class="tools">
        <div class="field">
          <label for="search">{words.search}</label>
          <input
            id="search"
            class="input"
            type="search"
            placeholder={words.search_hint}
            value={query}
            onInput={(event) => set_query(event.currentTarget.value)}
          />
        </div>
        <button
          type="button"
          class="button"
          disabled={searching}
          onClick={() => set_open(all_open ? new Set() : new Set(groups.map(([name]) => name)))}
        >
          {all_open ? words.close_all : words.open_all}
        </button>
      </div>
      {failed && <ErrorNotice error={failed} />}
      {failed && (
        <button type="button" class="button" onClick={() => void load()}>
          {words.retry}
        </button>
      )}
      {!rows && !failed && <p class="empty">{words.loading}</p>}
      {rows && groups.length === 0 && <p class="empty">{words.none}</p>}
      {groups.map(([name, members]) => (
        <Group
          key={name}
          name={name}
          rows={members}
          open={searching || open.has(name)}
          on_toggle={() => toggle(name)}
          edits={edits}
          problems={problems}
          on_edit={edit}
        />
      ))}
      {outcome?.good && <Notice kind="good" title={outcome.words} on_dismiss={discard} />}
      {(changes > 0 || outcome?.good === false) && (
        <div class="apply-bar">
          {outcome?.good === false ? (
            <strong class="chip bad" role="alert">
              {outcome.words}
            </strong>
          ) : (
            <span>{words.changed(changes)}</span>
          )}
          <button type="button" class="button" disabled={busy} onClick={discard}>
            {words.discard}
          </button>
          <button
            type="button"
            class="button primary"
            disabled={busy || changes === 0 || !is_linked}
            onClick={() => void apply()}
          >
            {busy ? words.applying : words.apply}
          </button>
        </div>
      )}
    </div>
  );
}

/** The phone's complaints about single values, by the name of the setting. */
function problems_of(error: unknown, values: Record<string, Json>): Record<string, string> {
  if (!(error instanceof RpcError)) return {};
  const data = error.data;
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return {};
  return Object.fromEntries(
    Object.entries(data).filter(
      (entry): entry is [string, string] => entry[0] in values && typeof entry[1] === 'string',
    ),
  );
}

interface GroupProps {
  name: string;
  rows: SettingRow[];
  open: boolean;
  on_toggle(): void;
  edits: Edits;
  problems: Problems;
  on_edit(row: SettingRow, value: string | null): void;
}

function Group({ name, rows, open, on_toggle, edits, problems, on_edit }: GroupProps) {
  const id = `group-${name.replace(/\W+/g, '-')}`;
  return (
    <section class="group">
      <h2>
        <button type="button" aria-expanded={open} aria-controls={id} onClick={on_toggle}>
          <span class="sign">{open ? <MinusIcon size={16} /> : <PlusIcon size={16} />}</span>
          <span>{name}</span>
          <small class="soft">{text.settings.count(rows.length)}</small>
        </button>
      </h2>
      <div id={id} hidden={!open}>
        {open &&
          rows.map((row) => (
            <SettingField
              key={row.name}
              row={row}
              edited={edits[row.name]}
              problem={problems[row.name]}
              on_edit={(value) => on_edit(row, value)}
            />
          ))}
      </div>
    </section>
  );
}
