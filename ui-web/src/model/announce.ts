// SPDX-License-Identifier: Apache-2.0
import { signal } from '@preact/signals';

/** What a screen reader says next, through the live region of the page. */
export const announcement = signal('');

export function announce(words: string): void {
  // The same words twice would not be read again.
  announcement.value = announcement.peek() === words ? `${words} ` : words;
}
