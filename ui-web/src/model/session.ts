// SPDX-License-Identifier: Apache-2.0
import { signal } from '@preact/signals';

export interface Session {
  user: string;
  role: string;
  must_change_password: boolean;
}

export type SessionState =
  | { kind: 'checking' }
  | { kind: 'signed_out'; ended: boolean }
  | { kind: 'signed_in'; session: Session };

export type LoginResult =
  | { kind: 'ok' }
  | { kind: 'wrong'; message: string }
  | { kind: 'locked'; seconds: number; message: string }
  | { kind: 'unreachable' }
  | { kind: 'failed'; status: number };

export const session = signal<SessionState>({ kind: 'checking' });

const kDefaultLockSeconds = 30;

function as_session(body: unknown): Session {
  const fields = (body ?? {}) as Partial<Session>;
  return {
    user: fields.user ?? '',
    role: fields.role ?? '',
    must_change_password: fields.must_change_password === true,
  };
}

async function json_of(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return undefined;
  }
}

/** Looks whether the cookie of an earlier visit still opens the door. */
export async function check_session(): Promise<void> {
  try {
    const response = await fetch('/api/v1/session', { cache: 'no-store' });
    const body = await json_of(response);
    if (response.ok && (body as { authenticated?: boolean })?.authenticated !== false) {
      session.value = { kind: 'signed_in', session: as_session(body) };
      return;
    }
  } catch {
    // The login page says what is wrong as soon as somebody tries.
  }
  session.value = { kind: 'signed_out', ended: false };
}

/** After something changed that the session tells of, such as the password. */
export async function refresh_session(): Promise<void> {
  try {
    const response = await fetch('/api/v1/session', { cache: 'no-store' });
    if (response.ok) session.value = { kind: 'signed_in', session: as_session(await json_of(response)) };
  } catch {
    // What is known stays.
  }
}

/** False only when the phone says so; an unreachable phone may still know us. */
export async function session_is_alive(): Promise<boolean> {
  try {
    const response = await fetch('/api/v1/session', { cache: 'no-store' });
    return response.status !== 401 && response.status !== 403;
  } catch {
    return true;
  }
}

export function session_ended(): void {
  session.value = { kind: 'signed_out', ended: true };
}

export async function log_in(user: string, password: string): Promise<LoginResult> {
  let response: Response;
  try {
    response = await fetch('/api/v1/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user, password }),
    });
  } catch {
    return { kind: 'unreachable' };
  }
  const body = await json_of(response);
  if (response.ok) {
    session.value = { kind: 'signed_in', session: as_session(body) };
    return { kind: 'ok' };
  }
  const error = (body as { error?: { message?: string; retry_after_s?: number } } | undefined)
    ?.error;
  if (response.status === 401) return { kind: 'wrong', message: error?.message ?? '' };
  if (response.status === 429) {
    const header = Number(response.headers.get('retry-after'));
    const seconds = header > 0 ? header : (error?.retry_after_s ?? kDefaultLockSeconds);
    return { kind: 'locked', seconds: Math.ceil(seconds), message: error?.message ?? '' };
  }
  return { kind: 'failed', status: response.status };
}

export async function log_out(): Promise<void> {
  try {
    await fetch('/api/v1/logout', { method: 'POST' });
  } catch {
    // The cookie stays, but so does nothing else: the page forgets the session either way.
  }
  session.value = { kind: 'signed_out', ended: false };
}
