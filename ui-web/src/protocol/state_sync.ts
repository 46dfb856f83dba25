// SPDX-License-Identifier: Apache-2.0
import { merge_patch, type Json } from './merge_patch';

export type Tree = { [key: string]: Json };

export interface StateSyncHooks {
  /** The tree changed. */
  on_tree(tree: Tree): void;
  /** A patch is missing: ask the phone for a new snapshot. Called once for each gap. */
  on_gap(): void;
}

/**
 * Follows the phone's state tree: one snapshot, then patches whose revisions count up by one.
 * When a revision is missing the tree stays as it was, and patches are ignored, until the next
 * snapshot arrives; a wrong picture is worse than one that is a moment old.
 */
export class StateSync {
  private tree_: Tree = {};
  private rev_: number | undefined;
  private waiting_ = false;

  constructor(private readonly hooks: StateSyncHooks) {}

  get rev(): number | undefined {
    return this.rev_;
  }

  /** After the connection was lost: the next snapshot starts anew. */
  forget(): void {
    this.rev_ = undefined;
    this.waiting_ = false;
  }

  snapshot(rev: number, tree: Tree): void {
    this.rev_ = rev;
    this.waiting_ = false;
    // Merged as a replacement so that unchanged branches keep their identity over a resync.
    this.tree_ = replace(this.tree_, tree) as Tree;
    this.hooks.on_tree(this.tree_);
  }

  patch(rev: number, patch: Json): void {
    if (this.rev_ === undefined || this.waiting_) return;
    if (rev <= this.rev_) return; // already part of the snapshot
    if (rev !== this.rev_ + 1) {
      this.waiting_ = true;
      this.hooks.on_gap();
      return;
    }
    this.rev_ = rev;
    const next = merge_patch(this.tree_, patch) as Tree;
    if (next === this.tree_) return;
    this.tree_ = next;
    this.hooks.on_tree(next);
  }
}

/** `after`, but with every branch that is equal in `before` taken from there. */
function replace(before: Json | undefined, after: Json): Json {
  if (before === after) return before;
  if (typeof before !== 'object' || typeof after !== 'object' || !before || !after) return after;
  if (Array.isArray(before) || Array.isArray(after)) {
    return JSON.stringify(before) === JSON.stringify(after) ? before : after;
  }
  const result: Tree = Object.create(null);
  let same = Object.keys(before).length === Object.keys(after).length;
  for (const key of Object.keys(after)) {
    result[key] = replace(before[key], after[key]!);
    if (result[key] !== before[key]) same = false;
  }
  return same ? before : result;
}
