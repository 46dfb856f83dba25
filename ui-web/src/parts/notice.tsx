// SPDX-License-Identifier: Apache-2.0
import type { ComponentChildren } from 'preact';
import type { CatalogueError } from '../model/tree';
import { text } from '../text';
import { DoneIcon, WarningIcon } from './icons';

interface NoticeProps {
  kind?: 'bad' | 'fair' | 'good';
  title: string;
  children?: ComponentChildren;
  on_dismiss?: () => void;
}

export function Notice({ kind = 'bad', title, children, on_dismiss }: NoticeProps) {
  return (
    <div class={`notice ${kind}`} role={kind === 'good' ? 'status' : 'alert'}>
      {kind === 'good' ? <DoneIcon /> : <WarningIcon />}
      <div>
        <strong>{title}</strong>
        {children}
      </div>
      {on_dismiss && (
        <button type="button" class="link-button" onClick={on_dismiss}>
          {text.error.dismiss}
        </button>
      )}
    </div>
  );
}

/** A message of the phone's catalogue: what, why, what to do, and its code for the support. */
export function ErrorNotice(props: { error: CatalogueError; on_dismiss?: () => void }) {
  const { error, on_dismiss } = props;
  return (
    <Notice title={error.message ?? error.id ?? ''} {...(on_dismiss && { on_dismiss })}>
      {(error.cause || error.remedy || error.id) && (
        <dl>
          {error.cause && <Line term={text.error.cause} words={error.cause} />}
          {error.remedy && <Line term={text.error.remedy} words={error.remedy} />}
          {error.id && <Line term={text.error.code} words={error.id} />}
        </dl>
      )}
    </Notice>
  );
}

const Line = ({ term, words }: { term: string; words: string }) => (
  <>
    <dt>{term}</dt>
    <dd>{words}</dd>
  </>
);
