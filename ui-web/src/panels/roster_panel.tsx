// SPDX-License-Identifier: Apache-2.0
import { call_state, roster } from '../model/phone';
import type { Participant } from '../model/tree';
import { Card } from '../parts/card';
import { text } from '../text';

export function RosterPanel() {
  const people = Object.entries(roster.value ?? {}).sort(by_place);
  return (
    <Card
      heading={text.roster.heading}
      span={3}
      aside={people.length > 0 && <span class="chip">{text.roster.count(people.length)}</span>}
    >
      {people.length === 0 ? (
        <p class="empty">
          {call_state.value === 'active' ? text.roster.nobody : text.roster.idle}
        </p>
      ) : (
        <ul class="people">
          {people.map(([id, person]) => (
            <Person key={id} person={person} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function Person({ person }: { person: Participant }) {
  const name = person.name ?? text.unknown;
  const role = person.role ? (text.call.roles[person.role] ?? person.role) : '';
  const talking = person.talking === true && person.muted !== true;
  return (
    <li class={talking ? 'talking' : ''}>
      <span class="face" aria-hidden="true">
        {initials(name)}
      </span>
      <span class="who">
        <b title={name}>{name}</b>
        <small class="soft">
          {role}
          {person.self && ` · ${text.roster.you}`}
        </small>
      </span>
      {person.muted ? (
        <span class="chip bad">{text.roster.muted}</span>
      ) : (
        <span class={`chip ${talking ? 'good' : ''}`}>
          {talking ? text.roster.talking : text.roster.silent}
        </span>
      )}
    </li>
  );
}

/** This room first, then the chairperson, then by name: a place in the list does not jump. */
function by_place([, a]: [string, Participant], [, b]: [string, Participant]): number {
  const rank = (p: Participant) => (p.self ? 0 : p.role === 'chairperson' ? 1 : 2);
  return rank(a) - rank(b) || (a.name ?? '').localeCompare(b.name ?? '');
}

function initials(name: string): string {
  const words = name.split(/[\s@._-]+/).filter(Boolean);
  const first = words[0]?.[0] ?? '';
  const last = words.length > 1 ? (words[words.length - 1]![0] ?? '') : '';
  return (first + last).toUpperCase();
}
