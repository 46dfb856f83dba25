// SPDX-License-Identifier: Apache-2.0
import { backoff_ms } from './backoff';
import { RpcClient, RpcError, kNoAnswer } from './json_rpc';
import { StateSync, type Tree } from './state_sync';
import type { Json } from './merge_patch';

const kSubprotocol = 'conclave.v1';
const kCallTimeoutMs = 10_000;
const kPingEveryMs = 5_000;
const kPingTimeoutMs = 4_000;
/** From the start of an attempt to the first snapshot. */
const kConnectTimeoutMs = 8_000;

export type LinkState =
  | { kind: 'connecting' }
  | { kind: 'open' }
  /** Lost; the next attempt starts at `retry_at` (Date.now()). */
  | { kind: 'lost'; retry_at: number };

export interface ConnectionHooks {
  on_link(state: LinkState): void;
  on_tree(tree: Tree): void;
  on_meters(buffer: ArrayBuffer): void;
  on_round_trip(ms: number): void;
  /** False when the session is over, so that there is no use in knocking again. */
  still_signed_in(): Promise<boolean>;
}

/** The live connection to the phone: keeps itself open, and the state tree whole. */
export class Connection {
  private socket_: WebSocket | undefined;
  private attempt_ = 0;
  private retry_timer_: ReturnType<typeof setTimeout> | undefined;
  private connect_timer_: ReturnType<typeof setTimeout> | undefined;
  private ping_timer_: ReturnType<typeof setInterval> | undefined;
  private closed_ = true;

  private readonly sync_ = new StateSync({
    on_tree: (tree) => this.hooks.on_tree(tree),
    on_gap: () => void this.resync(),
  });

  private readonly rpc_ = new RpcClient({
    send: (text) => this.socket_?.send(text),
    on_notification: (method, params) => this.notified(method, params),
    timeout_ms: kCallTimeoutMs,
  });

  constructor(
    private readonly url: string,
    private readonly hooks: ConnectionHooks,
  ) {}

  open(): void {
    if (!this.closed_) return;
    this.closed_ = false;
    this.attempt_ = 0;
    this.connect();
  }

  close(): void {
    this.closed_ = true;
    clearTimeout(this.retry_timer_);
    this.drop();
  }

  /** Does not wait for the next attempt. */
  retry_now(): void {
    if (this.closed_ || this.socket_) return;
    clearTimeout(this.retry_timer_);
    this.connect();
  }

  call(method: string, params: Json = {}): Promise<Json> {
    if (this.socket_?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new RpcError(kNoAnswer, 'The phone is not connected.'));
    }
    return this.rpc_.call(method, params);
  }

  private connect(): void {
    this.hooks.on_link({ kind: 'connecting' });
    const socket = new WebSocket(this.url, kSubprotocol);
    socket.binaryType = 'arraybuffer';
    this.socket_ = socket;
    this.connect_timer_ = setTimeout(() => void this.lost(), kConnectTimeoutMs);
    socket.onopen = () => {
      this.ping_timer_ = setInterval(() => void this.ping(), kPingEveryMs);
      void this.ping();
    };
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (socket !== this.socket_) return;
      if (typeof event.data === 'string') this.rpc_.receive(event.data);
      else this.hooks.on_meters(event.data);
    };
    socket.onclose = () => {
      if (socket === this.socket_) void this.lost();
    };
  }

  /** Forgets the socket without waiting for its closing handshake, which a dead peer never ends. */
  private drop(): void {
    clearInterval(this.ping_timer_);
    clearTimeout(this.connect_timer_);
    const socket = this.socket_;
    this.socket_ = undefined;
    this.sync_.forget();
    this.rpc_.abandon('The connection to the phone was lost.');
    socket?.close();
  }

  private async lost(): Promise<void> {
    this.drop();
    if (this.closed_) return;
    const wait = backoff_ms(this.attempt_++, Math.random());
    this.hooks.on_link({ kind: 'lost', retry_at: Date.now() + wait });
    this.retry_timer_ = setTimeout(async () => {
      if (!(await this.hooks.still_signed_in())) return;
      if (!this.closed_ && !this.socket_) this.connect();
    }, wait);
  }

  private notified(method: string, params: Json): void {
    if (typeof params !== 'object' || params === null || Array.isArray(params)) return;
    const rev = params.rev;
    if (typeof rev !== 'number') return;
    if (method === 'state.snapshot') this.take_snapshot(rev, params.state);
    else if (method === 'state.patch') this.sync_.patch(rev, params.patch ?? {});
  }

  private take_snapshot(rev: number, state: Json | undefined): void {
    if (typeof state !== 'object' || state === null || Array.isArray(state)) return;
    this.attempt_ = 0;
    clearTimeout(this.connect_timer_);
    this.sync_.snapshot(rev, state);
    this.hooks.on_link({ kind: 'open' });
  }

  /** The phone answers with a snapshot, as the result or as a notification; both are taken. */
  private async resync(): Promise<void> {
    try {
      const result = await this.call('state.resync');
      if (typeof result !== 'object' || result === null || Array.isArray(result)) return;
      if (typeof result.rev === 'number' && result.state) {
        this.take_snapshot(result.rev, result.state);
      }
    } catch {
      if (this.socket_) void this.lost();
    }
  }

  private async ping(): Promise<void> {
    const socket = this.socket_;
    const sent = performance.now();
    try {
      await this.rpc_.call('ping', { t: Math.round(sent) }, kPingTimeoutMs);
      this.hooks.on_round_trip(performance.now() - sent);
    } catch (error) {
      // An error answer is still an answer; silence means that the other end is gone.
      const silent = error instanceof RpcError && error.code === kNoAnswer;
      if (silent && socket && socket === this.socket_) void this.lost();
    }
  }
}
