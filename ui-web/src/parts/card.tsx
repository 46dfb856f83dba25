// SPDX-License-Identifier: Apache-2.0
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import type { Grade } from '../lib/thresholds';
import { text } from '../text';

interface CardProps {
  heading: string;
  /** Columns of twelve. */
  span: 3 | 4 | 5 | 12;
  name?: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
}

export function Card({ heading, span, name = '', aside, children }: CardProps) {
  const id = useId();
  return (
    <section class={`card span-${span} ${name}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{heading}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

/** Colour never stands alone: the judgement is a word too. */
export function GradeChip({ grade }: { grade: Grade | undefined }) {
  if (!grade) return null;
  return <span class={`chip ${grade}`}>{text.quality[grade]}</span>;
}
