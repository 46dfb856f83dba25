// SPDX-License-Identifier: Apache-2.0
import { count, number } from '../lib/format';
import {
  grade_delay,
  grade_jitter,
  grade_loss,
  grade_mos,
  grade_rtt,
  worst,
  type Grade,
} from '../lib/thresholds';
import { quality } from '../model/phone';
import { Card, GradeChip } from '../parts/card';
import { text } from '../text';

export function QualityPanel() {
  const q = quality.value;
  const words = text.quality;
  if (!q) {
    return (
      <Card heading={words.heading} span={4}>
        <p class="empty">{words.none}</p>
      </Card>
    );
  }
  const loss = grade_loss(q.loss_percent);
  const remote_loss = grade_loss(q.remote_loss_percent);
  const rtt = grade_rtt(q.rtt_ms);
  const jitter = grade_jitter(q.jitter_ms);
  const delay = grade_delay(q.delay_ms);
  const mos = grade_mos(q.mos);
  const ms = text.unit.ms;
  return (
    <Card
      heading={words.heading}
      span={4}
      aside={<GradeChip grade={worst([loss, remote_loss, rtt, jitter, delay, mos])} />}
    >
      <dl class="figures">
        <Row term={words.mos} value={number(q.mos, 1)} grade={mos} hint={words.thresholds.mos} />
        <Row
          term={q.remote_loss_percent === undefined ? words.loss : words.loss_here}
          value={`${number(q.loss_percent, 2)} ${text.unit.percent}`}
          grade={loss}
          hint={words.thresholds.loss}
        />
        {q.remote_loss_percent !== undefined && (
          <Row
            term={words.remote_loss}
            value={`${number(q.remote_loss_percent, 2)} ${text.unit.percent}`}
            grade={remote_loss}
            hint={words.thresholds.loss}
          />
        )}
        <Row
          term={words.rtt}
          value={`${number(q.rtt_ms)} ${ms}`}
          grade={rtt}
          hint={words.thresholds.rtt}
        />
        <Row
          term={words.jitter}
          value={`${number(q.jitter_ms, 1)} ${ms}`}
          grade={jitter}
          hint={words.thresholds.jitter}
        />
        <Row
          term={`${words.delay}, ${words.delay_hint}`}
          value={`${number(q.delay_ms)} ${ms}`}
          grade={delay}
          hint={words.thresholds.delay}
        />
        <Row term={words.buffer} value={`${number(q.buffer_ms)} ${ms}`} />
        <Row term={words.concealed} value={`${count(q.concealed_ms)} ${ms}`} />
        <Row term={words.sent} value={count(q.tx_packets)} />
        <Row term={words.received} value={count(q.rx_packets)} />
        <Row term={words.lost} value={count(q.lost)} />
      </dl>
    </Card>
  );
}

interface RowProps {
  term: string;
  value: string;
  grade?: Grade | undefined;
  hint?: string;
}

const Row = ({ term, value, grade, hint }: RowProps) => (
  <div title={hint}>
    <dt>{term}</dt>
    <dd>{value}</dd>
    <dd class="grade">
      <GradeChip grade={grade} />
    </dd>
  </div>
);
