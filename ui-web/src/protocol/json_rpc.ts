// SPDX-License-Identifier: Apache-2.0
import type { Json } from './merge_patch';

/** An answer with an error; `data` is what the phone adds, such as cause and remedy. */
export class RpcError extends Error {
  constructor(
    readonly code: number,
    message: string,
    readonly data?: Json,
  ) {
    super(message);
    this.name = 'RpcError';
  }
}

/** The call never got an answer: connection lost or too slow. */
export const kNoAnswer = -1;

export interface RpcHooks {
  send(text: string): void;
  on_notification(method: string, params: Json): void;
  /** Milliseconds until a call without answer fails. */
  timeout_ms: number;
}

interface Pending {
  resolve(value: Json): void;
  reject(error: RpcError): void;
  timer: ReturnType<typeof setTimeout>;
}

/** The client half of JSON-RPC 2.0 over any text channel. */
export class RpcClient {
  private next_id_ = 1;
  private readonly pending_ = new Map<number, Pending>();

  constructor(private readonly hooks: RpcHooks) {}

  call(method: string, params: Json, timeout_ms = this.hooks.timeout_ms): Promise<Json> {
    const id = this.next_id_++;
    return new Promise<Json>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending_.delete(id);
        reject(new RpcError(kNoAnswer, 'The phone did not answer in time.'));
      }, timeout_ms);
      this.pending_.set(id, { resolve, reject, timer });
      this.hooks.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  }

  /** Takes one text message; anything malformed is ignored, whoever sent it. */
  receive(text: string): void {
    let message: Json;
    try {
      message = JSON.parse(text) as Json;
    } catch {
      return;
    }
    if (typeof message !== 'object' || message === null || Array.isArray(message)) return;
    if (typeof message.method === 'string') {
      this.hooks.on_notification(message.method, message.params ?? {});
      return;
    }
    if (typeof message.id !== 'number') return;
    const pending = this.pending_.get(message.id);
    if (!pending) return;
    this.pending_.delete(message.id);
    clearTimeout(pending.timer);
    const error = message.error;
    if (typeof error === 'object' && error !== null && !Array.isArray(error)) {
      const code = typeof error.code === 'number' ? error.code : kNoAnswer;
      const text = typeof error.message === 'string' ? error.message : '';
      pending.reject(new RpcError(code, text, error.data));
    } else {
      pending.resolve(message.result ?? null);
    }
  }

  /** Fails everything that still waits, because the channel is gone. */
  abandon(reason: string): void {
    for (const pending of this.pending_.values()) {
      clearTimeout(pending.timer);
      pending.reject(new RpcError(kNoAnswer, reason));
    }
    this.pending_.clear();
  }
}
