// SPDX-License-Identifier: Apache-2.0

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const is_object = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * JSON Merge Patch, RFC 7396. Returns the patched value and leaves both arguments as they were.
 * Branches that the patch does not touch, or touches without a change, are shared with the old
 * value: whoever compares a branch by reference sees at once that nothing happened there.
 */
export function merge_patch(target: Json | undefined, patch: Json): Json {
  if (!is_object(patch)) return patch;
  const before = is_object(target) ? target : undefined;
  // No prototype, so that a key called "__proto__" is a key like any other.
  const after: { [key: string]: Json } = Object.assign(Object.create(null), before);
  let changed = before === undefined;
  for (const key of Object.keys(patch)) {
    const value = patch[key]!;
    if (value === null) {
      if (key in after) {
        delete after[key];
        changed = true;
      }
      continue;
    }
    const merged = merge_patch(after[key], value);
    if (!(key in after) || after[key] !== merged) {
      after[key] = merged;
      changed = true;
    }
  }
  return changed ? after : before!;
}
