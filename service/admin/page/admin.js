// SPDX-License-Identifier: Apache-2.0
// The administrator's page of conclave-service. The token lives in this tab alone (sessionStorage)
// and goes into a header, never into a cookie: another site's page cannot use it.
'use strict';

const kTokenKey = 'conclave-admin-token';
const kRefreshMs = 2000;
const $ = (id) => document.getElementById(id);

let token = sessionStorage.getItem(kTokenKey) ?? '';
let tab = 'meetings';
let timer = 0;
let known = { meetings: [], phones: {}, kinds: [], orders: [] };

/** An element with properties and children; texts are never read as HTML. */
function el(tag, properties = {}, ...children) {
  const out = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) out.addEventListener(name.slice(2), value);
    else if (name in out) out[name] = value;
    else out.setAttribute(name, value);
  }
  out.append(...children.filter((child) => child !== null && child !== undefined));
  return out;
}

/** Puts the children in place, but leaves an unchanged list alone: focus and selection stay. */
function fill(parent, children) {
  const next = el(parent.tagName, {}, ...children);
  if (next.innerHTML === parent.innerHTML) return;
  const active = document.activeElement;
  const key = parent.contains(active) ? active.getAttribute('aria-label') : null;
  parent.replaceChildren(...next.childNodes);
  if (key === null) return;
  for (const candidate of parent.querySelectorAll('button, input')) {
    if (candidate.getAttribute('aria-label') === key) return candidate.focus();
  }
}

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(method, path, body) {
  const request = { method, headers: { Authorization: `Bearer ${token}` }, cache: 'no-store' };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers['Content-Type'] = 'application/json';
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch {
    throw new Refused(0, 'The service does not answer.');
  }
  if (answer.status === 204) return {};
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Refused(answer.status, content.error?.message ?? `The service answered ${answer.status}.`);
  }
  return content;
}

let notice_timer = 0;
function notice(text, trouble = false) {
  clearTimeout(notice_timer);
  $('notice').textContent = text;
  $('notice').classList.toggle('trouble', trouble);
  $('notice').hidden = false;
  notice_timer = setTimeout(() => ($('notice').hidden = true), trouble ? 8000 : 3000);
}

/** Does something and shows at once what has come of it. */
async function act(what, done) {
  try {
    await what();
    if (done) notice(done);
  } catch (error) {
    if (error.status === 401) return sign_out(error.message);
    notice(error.message, true);
  }
  refresh();
}

function confirm_by(text, yes) {
  $('ask-text').textContent = text;
  $('ask-yes').textContent = yes;
  $('ask').returnValue = 'no';
  $('ask').showModal();
  return new Promise((resolve) =>
    $('ask').addEventListener('close', () => resolve($('ask').returnValue === 'yes'), { once: true }),
  );
}

const when = (seconds) =>
  new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
function span(seconds) {
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor((seconds % 86400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.floor(seconds)} s`;
}
const small = (text, label, onclick, kind = '') =>
  el('button', { type: 'button', className: `button small ${kind}`, 'aria-label': label, onclick }, text);

// Meetings

function person_row(meeting, id, person) {
  const base = `/admin/meetings/${meeting.id}/participants/${id}`;
  const state = !person.present ? 'calling' : person.muted ? 'muted' : person.talking ? 'talking' : '';
  const role = person.role === 'chairperson' ? 'Chairperson' : 'Participant';
  return el('li', { className: 'person' },
    el('span', { className: `dot ${state}`, title: state }, el('span', { className: 'unseen' }, state)),
    el('span', { className: 'name' }, person.name, el('small', {}, `${role} · ${person.phone}`)),
    small(person.muted ? 'Unmute' : 'Mute', `${person.muted ? 'Unmute' : 'Mute'} ${person.name} ${id}`,
      () => act(() => ask('POST', `${base}/mute`, { muted: !person.muted }))),
    small('Remove', `Remove ${person.name} ${id}`, async () => {
      if (await confirm_by(`Remove ${person.name} from ${meeting.title}?`, 'Remove')) {
        act(() => ask('DELETE', base), `${person.name} was removed.`);
      }
    }, 'danger'));
}

function meeting_card(meeting) {
  const base = `/admin/meetings/${meeting.id}`;
  const people = Object.entries(meeting.participants).sort((a, b) =>
    a[1].role.localeCompare(b[1].role) || a[1].name.localeCompare(b[1].name));
  const present = people.filter(([, person]) => person.present).length;
  return el('article', { className: 'card meeting' },
    el('header', {},
      el('div', {}, el('h2', {}, meeting.title),
        el('span', { className: 'soft' }, meeting.id + (meeting.declared ? ' · conferences.json' : ''))),
      el('span', { className: present > 0 ? 'badge good' : 'badge' },
        present > 0 ? `${present} in the meeting` : 'nobody there')),
    el('div', { className: 'codes' },
      el('span', {}, 'Chairperson', el('b', {}, meeting.chairperson_passcode)),
      el('span', {}, 'Participants', el('b', {}, meeting.participant_passcode)),
      meeting.email_required ? el('span', {}, 'E-mail', el('b', {}, 'needed')) : null),
    people.length > 0
      ? el('ul', { className: 'people' }, ...people.map(([id, person]) => person_row(meeting, id, person)))
      : null,
    el('footer', {},
      small(meeting.all_muted ? 'Unmute all' : 'Mute all', `Mute all of ${meeting.title}`,
        () => act(() => ask('POST', `${base}/mute`, { muted: !meeting.all_muted }))),
      el('span', { className: 'spacer' }),
      small('Change', `Change ${meeting.title}`, () => edit_meeting(meeting)),
      small('Delete', `Delete ${meeting.title}`, async () => {
        if (await confirm_by(`Delete ${meeting.title}? Who is in it is hung up.`, 'Delete')) {
          act(() => ask('DELETE', base), `${meeting.title} was deleted.`);
        }
      }, 'danger')));
}

function show_meetings() {
  fill_live($('meeting-list'), known.meetings.map(meeting_card), JSON.stringify(known.meetings));
}

/** As fill, for parts with listeners in them: made anew only when what they show has changed. */
function fill_live(parent, children, key) {
  if (parent.dataset.key === key) return;
  parent.dataset.key = key;
  const active = document.activeElement;
  const label = parent.contains(active) ? active.getAttribute('aria-label') : null;
  const name = parent.contains(active) ? active.value : null;
  parent.replaceChildren(...children);
  if (label === null && name === null) return;
  for (const candidate of parent.querySelectorAll('button, input')) {
    if (label !== null ? candidate.getAttribute('aria-label') === label : candidate.value === name) {
      return candidate.focus();
    }
  }
}

function edit_meeting(meeting) {
  $('meeting-title').textContent = meeting ? `Change ${meeting.title}` : 'New meeting';
  $('m-id').value = meeting?.id ?? '';
  $('m-id').readOnly = Boolean(meeting);
  $('m-title').value = meeting?.title ?? '';
  $('m-chair').value = meeting?.chairperson_passcode ?? passcode();
  $('m-part').value = meeting?.participant_passcode ?? passcode();
  $('m-emails').value = (meeting?.emails ?? []).join('\n');
  $('m-email').checked = meeting?.email_required ?? false;
  $('m-mute').checked = meeting?.self_mute ?? true;
  $('m-dial').checked = meeting?.dial_out ?? true;
  $('m-operator').checked = meeting?.operator ?? true;
  $('m-record').checked = meeting?.recording ?? true;
  open_form('meeting', async () => {
    await ask('POST', `/admin/meetings/${$('m-id').value}`, {
      ...(meeting ?? {}),
      title: $('m-title').value.trim(),
      chairperson_passcode: $('m-chair').value,
      participant_passcode: $('m-part').value,
      emails: $('m-emails').value.split(/\s+/).filter(Boolean),
      email_required: $('m-email').checked,
      self_mute: $('m-mute').checked,
      dial_out: $('m-dial').checked,
      operator: $('m-operator').checked,
      recording: $('m-record').checked,
      participants: undefined,
    });
    return 'The meeting is saved.';
  });
}

/** Six digits that nobody guesses. */
function passcode() {
  const range = 900000;
  const random = new Uint32Array(1);
  do crypto.getRandomValues(random);
  while (random[0] >= Math.floor(2 ** 32 / range) * range);
  return String(100000 + (random[0] % range));
}

// Phones

function phone_row(serial, phone) {
  const kind = { active: 'good', inactive: 'fair', deactivated: 'bad' }[phone.state];
  const base = `/admin/phones/${serial}`;
  const set = (state, text) => act(() => ask('POST', base, { state }), text);
  return el('tr', {},
    el('td', {}, serial,
      el('small', {}, phone.seen ? [phone.seen.model, phone.seen.version].filter(Boolean).join(' ')
        : phone.declared ? 'conferences.json' : '')),
    el('td', {}, el('span', { className: `badge ${kind}` }, phone.state),
      el('small', {}, phone.by_pin ? 'activated by PIN' : phone.known ? '' : 'not written down')),
    el('td', { className: 'pin' }, phone.pin ?? '–',
      phone.pin_expires ? el('small', {}, `until ${phone.pin_expires}`) : null),
    el('td', {}, phone.seen ? when(phone.seen.at) : 'never',
      phone.seen ? el('small', {}, phone.seen.from) : null),
    el('td', {}, phone.report ? when(phone.report.at) : '–', phone.report ? el('small', {}, phone.report.kind) : null),
    el('td', { className: 'do' },
      small('Change', `Change ${serial}`, () => edit_phone(serial, phone)),
      phone.state === 'deactivated'
        ? small('Let in', `Let ${serial} in`, () => set('active', `${serial} is active.`))
        : small('Deactivate', `Deactivate ${serial}`, async () => {
            if (await confirm_by(`Deactivate ${serial}? Its sessions and calls end.`, 'Deactivate')) {
              set('deactivated', `${serial} is deactivated.`);
            }
          }, 'danger')));
}

function show_phones() {
  const wanted = $('find-phone').value.trim().toLowerCase();
  const rows = Object.entries(known.phones).filter(([serial]) => serial.toLowerCase().includes(wanted));
  fill_live($('phone-list'), rows.map(([serial, phone]) => phone_row(serial, phone)),
    JSON.stringify(rows));
  $('no-phones').hidden = rows.length > 0;
  $('no-phones').textContent = wanted ? 'No phone has such a number.' : 'No phone has been here yet.';
}

function edit_phone(serial, phone) {
  $('phone-title').textContent = serial ? `Change ${serial}` : 'Add phone';
  $('p-serial').value = serial ?? '';
  $('p-serial').readOnly = Boolean(serial);
  $('p-state').value = phone?.state === 'deactivated' ? 'deactivated' : phone && !phone.pin ? phone.state : 'inactive';
  $('p-pin').value = phone?.pin ?? (serial ? '' : `${passcode().slice(0, 4)}-${passcode().slice(0, 4)}`);
  $('p-expires').value = phone?.pin_expires ?? '';
  open_form('phone', async () => {
    const body = { state: $('p-state').value };
    if ($('p-pin').value) body.pin = $('p-pin').value;
    if ($('p-expires').value) body.pin_expires = $('p-expires').value;
    if (phone?.certificate_sha256) body.certificate_sha256 = phone.certificate_sha256;
    await ask('POST', `/admin/phones/${$('p-serial').value}`, body);
    return 'The phone is saved.';
  });
}

function open_form(name, save) {
  const dialog = $(`${name}-dialog`);
  const form = $(`${name}-form`);
  const wrong = form.querySelector('.wrong');
  wrong.hidden = true;
  form.onsubmit = async (event) => {
    event.preventDefault();
    try {
      notice(await save());
      dialog.close();
      refresh();
    } catch (error) {
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
  };
  dialog.showModal();
}

// Faults

function show_kinds() {
  const words = $('fault-find').value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = document.querySelector('input[name=kind]:checked')?.value;
  const fitting = known.kinds.filter((kind) => {
    const text = `${kind.id} ${kind.message ?? 'transport'} ${kind.stage}`.toLowerCase();
    return kind.id === chosen || words.every((word) => text.includes(word));
  });
  fill_live($('fault-kinds'), fitting.map((kind) =>
    el('label', { className: 'kind' },
      el('input', { type: 'radio', name: 'kind', value: kind.id, required: true, checked: kind.id === chosen }),
      el('b', {}, kind.id),
      el('span', {}, kind.message ?? 'the service behaves badly'))), JSON.stringify(fitting));
  const stages = [...new Set(known.kinds.map((kind) => kind.stage))];
  for (const stage of stages) {
    if (![...$('fault-stage').options].some((option) => option.value === stage)) {
      $('fault-stage').append(el('option', { value: stage }, stage));
    }
  }
}

function show_orders() {
  fill_live($('orders'), known.orders.map((order) =>
    el('li', {},
      el('div', {}, el('b', {}, order.id),
        el('small', {}, `${order.phone ?? 'every phone'} · ${order.stage} · ${order.count} more`)),
      small('Take back', `Take back order ${order.number}`,
        () => act(() => ask('DELETE', `/admin/faults/${order.number}`))))), JSON.stringify(known.orders));
  $('no-orders').hidden = known.orders.length > 0;
  $('cancel-all').hidden = known.orders.length < 2;
  fill($('serials'), Object.keys(known.phones).map((serial) => el('option', { value: serial })));
}

async function order_fault(event) {
  event.preventDefault();
  const id = document.querySelector('input[name=kind]:checked')?.value;
  if (!id) return notice('Choose a fault first.', true);
  const body = { id, count: Number($('fault-count').value) };
  if ($('fault-phone').value.trim()) body.phone = $('fault-phone').value.trim();
  if ($('fault-stage').value) body.stage = $('fault-stage').value;
  await act(() => ask('POST', '/admin/faults', body), `${id} is on order.`);
}

// Health

function show_health(health) {
  const rows = [
    ['Mixer', health.mixer.running ? 'running' : 'not running'],
    ['Mixer restarts', health.mixer.restarts],
    ['In meetings now', health.participants],
    ['Meetings', health.meetings],
    ['Up for', span(health.uptime_s)],
    ['SIP port', health.sip_port],
    ['Version', health.version],
  ];
  fill($('health-list'), rows.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, String(value)))));
  $('state').classList.toggle('trouble', !health.mixer.running);
  $('state').textContent = health.mixer.running
    ? `${health.participants} in meetings · up for ${span(health.uptime_s)}`
    : 'The mixer is not running';
}

// The whole

async function refresh() {
  clearTimeout(timer);
  try {
    show_health(await ask('GET', '/admin/health'));
    if (tab === 'meetings') {
      known.meetings = (await ask('GET', '/admin/meetings')).meetings;
      show_meetings();
    }
    if (tab === 'phones' || tab === 'faults') known.phones = (await ask('GET', '/admin/phones')).phones;
    if (tab === 'phones') show_phones();
    if (tab === 'faults') {
      const faults = await ask('GET', '/admin/faults');
      known.kinds = faults.kinds;
      known.orders = faults.orders;
      show_kinds();
      show_orders();
    }
  } catch (error) {
    if (error.status === 401 || error.status === 429) return sign_out(error.message);
    $('state').classList.add('trouble');
    $('state').textContent = error.message;
  }
  clearTimeout(timer);
  if (token) timer = setTimeout(refresh, document.hidden ? 5 * kRefreshMs : kRefreshMs);
}

function show_tab(name, focus = false) {
  tab = name;
  for (const button of document.querySelectorAll('[role=tab]')) {
    const mine = button.id === `tab-${name}`;
    button.setAttribute('aria-selected', String(mine));
    button.tabIndex = mine ? 0 : -1;
    $(button.getAttribute('aria-controls')).hidden = !mine;
    if (mine && focus) button.focus();
  }
  history.replaceState(null, '', `#${name}`);
  refresh();
}

function sign_out(message = '') {
  clearTimeout(timer);
  token = '';
  sessionStorage.removeItem(kTokenKey);
  $('app').hidden = true;
  $('door').hidden = false;
  $('login-error').textContent = message;
  $('login-error').hidden = !message;
  $('token').value = '';
  $('token').focus();
}

function enter() {
  $('door').hidden = true;
  $('app').hidden = false;
  const wanted = location.hash.slice(1);
  show_tab(document.getElementById(`tab-${wanted}`) ? wanted : 'meetings');
}

$('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  token = $('token').value.trim();
  try {
    await ask('GET', '/admin/health');
  } catch (error) {
    return sign_out(error.status === 401 ? 'This is not the token.' : error.message);
  }
  sessionStorage.setItem(kTokenKey, token);
  enter();
});
$('logout').addEventListener('click', () => sign_out());
$('new-meeting').addEventListener('click', () => edit_meeting(null));
$('new-phone').addEventListener('click', () => edit_phone(null, null));
$('find-phone').addEventListener('input', show_phones);
$('fault-find').addEventListener('input', show_kinds);
$('order').addEventListener('submit', order_fault);
$('cancel-all').addEventListener('click', () => act(() => ask('DELETE', '/admin/faults'), 'All orders are taken back.'));
for (const button of document.querySelectorAll('[data-close]')) {
  button.addEventListener('click', () => button.closest('dialog').close());
}
const tabs = [...document.querySelectorAll('[role=tab]')];
for (const button of tabs) {
  button.addEventListener('click', () => show_tab(button.id.slice(4)));
  button.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = event.key === 'Home' ? 0 : event.key === 'End' ? tabs.length - 1
      : step ? (tabs.indexOf(button) + step + tabs.length) % tabs.length : -1;
    if (at < 0) return;
    event.preventDefault();
    show_tab(tabs[at].id.slice(4), true);
  });
}
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && token) refresh();
});

if (token) enter();
else sign_out();
