// SPDX-License-Identifier: Apache-2.0
import { lines_of, type SettingRow } from '../lib/settings_rows';
import { text } from '../text';
import { LockIcon } from './icons';

interface Props {
  row: SettingRow;
  /** The text of the field when it was changed; null when the local value is taken back. */
  edited: string | null | undefined;
  problem: string | undefined;
  on_edit(value: string | null): void;
}

export function SettingField({ row, edited, problem, on_edit }: Props) {
  const id = `setting-${row.name.replace(/\W+/g, '-')}`;
  const words = text.settings;
  const shown = edited === null ? row.fallback : (edited ?? row.value);
  const several = row.kind === 'choices';
  const can_take_back = row.layer === 'local' && !row.locked && edited !== null;
  return (
    <div class={`row ${edited === undefined ? '' : 'changed'}`}>
      <div class="about">
        {several ? (
          <span class="label" id={`${id}-label`}>
            {row.title}
          </span>
        ) : (
          <label for={id}>{row.title}</label>
        )}
        {row.help && <p id={`${id}-help`}>{row.help}</p>}
        <code>{row.name}</code>
      </div>
      <div class="edit">
        <div class="line">
          <Control id={id} row={row} value={shown} invalid={problem !== undefined} on_edit={on_edit} />
          {row.unit && <span class="soft">{row.unit}</span>}
        </div>
        {problem && (
          <p class="problem" role="alert" id={`${id}-problem`}>
            {problem}
          </p>
        )}
        <div class="marks">
          {row.layer && (
            <span class={`chip ${row.layer === 'local' ? 'accent' : ''}`}>
              {words.layers[row.layer] ?? row.layer}
            </span>
          )}
          {row.locked && (
            <span class="chip fair">
              <LockIcon size={14} /> {words.locked}
            </span>
          )}
          {row.restart && row.restart !== 'none' && (
            <span class="chip">{words.restarts[row.restart] ?? row.restart}</span>
          )}
          {row.min !== undefined && row.max !== undefined && (
            <span class="numeric">{words.range(String(row.min), String(row.max))}</span>
          )}
          {can_take_back && (
            <button
              type="button"
              class="link-button"
              title={words.take_back_hint}
              onClick={() => on_edit(null)}
            >
              {words.take_back}
            </button>
          )}
          {edited === null && <span>{words.taken_back}</span>}
        </div>
      </div>
    </div>
  );
}

interface ControlProps {
  id: string;
  row: SettingRow;
  value: string;
  invalid: boolean;
  on_edit(value: string): void;
}

function Control({ id, row, value, invalid, on_edit }: ControlProps) {
  const words = text.settings;
  const common = {
    id,
    class: 'input',
    disabled: row.locked,
    'aria-invalid': invalid,
    'aria-describedby': row.help ? `${id}-help` : undefined,
  };
  switch (row.kind) {
    case 'bool':
      return (
        <label class="check">
          <input
            id={id}
            type="checkbox"
            checked={value === 'true'}
            disabled={row.locked}
            onChange={(event) => on_edit(String(event.currentTarget.checked))}
          />
          <span aria-hidden="true">{value === 'true' ? words.on : words.off}</span>
        </label>
      );
    case 'choice':
      return (
        <select {...common} value={value} onChange={(event) => on_edit(event.currentTarget.value)}>
          {!row.choices.includes(value) && <option value={value}>{value || words.empty}</option>}
          {row.choices.map((choice) => (
            <option key={choice} value={choice}>
              {choice}
            </option>
          ))}
        </select>
      );
    case 'choices':
      return <Choices id={id} row={row} value={value} invalid={invalid} on_edit={on_edit} />;
    case 'list':
      return (
        <textarea
          {...common}
          value={value}
          rows={2}
          onInput={(event) => on_edit(event.currentTarget.value)}
        />
      );
    case 'secret':
      return (
        <input
          {...common}
          type="password"
          autocomplete="new-password"
          placeholder={row.is_set ? words.is_set : words.secret}
          value={value}
          onInput={(event) => on_edit(event.currentTarget.value)}
        />
      );
    default:
      return (
        <input
          {...common}
          type="text"
          inputMode={row.kind === 'number' ? 'decimal' : undefined}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          value={value}
          onInput={(event) => on_edit(event.currentTarget.value)}
        />
      );
  }
}

function Choices({ id, row, value, on_edit }: ControlProps) {
  const chosen = new Set(lines_of(value));
  const toggle = (choice: string) => {
    const next = new Set(chosen);
    if (!next.delete(choice)) next.add(choice);
    // In the order of the catalogue, so that the same choice is the same value.
    on_edit(row.choices.filter((c) => next.has(c)).join('\n'));
  };
  return (
    <div role="group" aria-labelledby={`${id}-label`}>
      {row.choices.map((choice) => (
        <label key={choice} class="check">
          <input
            type="checkbox"
            checked={chosen.has(choice)}
            disabled={row.locked}
            onChange={() => toggle(choice)}
          />
          <span>{choice}</span>
        </label>
      ))}
    </div>
  );
}
