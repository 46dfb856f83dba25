// SPDX-License-Identifier: Apache-2.0
import { en, type Text } from './en';

/** The words in the language of the page. */
export const text: Text = en;
