// SPDX-License-Identifier: Apache-2.0
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { kHistorySeconds, type EchoHistory } from '../lib/echo_history';
import type { Palette } from '../parts/canvas';
import { text } from '../text';

const kTopDb = 60;

/** The chart of echo reduction; seconds run from -60 to now. */
export class EchoPlot {
  private readonly plot_: uPlot;
  private readonly resize_: ResizeObserver;
  private far_: boolean[] = [];

  constructor(
    private readonly box_: HTMLElement,
    colours: Palette,
  ) {
    const axis = {
      stroke: colours.ink_soft,
      font: `12px ${colours.font}`,
      grid: { stroke: colours.grid, width: 1 },
      ticks: { show: false },
    };
    this.plot_ = new uPlot(
      {
        ...this.size(),
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 8, 0, 0],
        scales: {
          x: { time: false, range: [-kHistorySeconds, 0] },
          y: { range: (_plot, low, high) => [Math.min(0, low ?? 0), Math.max(kTopDb, high ?? 0)] },
        },
        axes: [
          {
            ...axis,
            size: 30,
            values: (_plot, at) => at.map((s) => (s === 0 ? `0 ${text.echo.seconds}` : minus(s))),
          },
          { ...axis, size: 36, values: (_plot, at) => at.map(minus) },
        ],
        series: [
          {},
          {
            stroke: colours.plot,
            fill: colours.fill,
            width: 2,
            spanGaps: false,
            points: { show: false },
          },
        ],
        hooks: { drawClear: [(plot) => this.shade(plot, colours.shade)] },
      },
      [[], []],
      box_,
    );
    this.resize_ = new ResizeObserver(() => this.plot_.setSize(this.size()));
    this.resize_.observe(box_);
  }

  show(history: EchoHistory): void {
    const now = history.at_ms[history.at_ms.length - 1] ?? 0;
    this.far_ = history.far_active;
    this.plot_.setData([history.at_ms.map((at) => (at - now) / 1000), history.erle_db]);
  }

  destroy(): void {
    this.resize_.disconnect();
    this.plot_.destroy();
  }

  private size(): { width: number; height: number } {
    return {
      width: Math.max(120, this.box_.clientWidth),
      height: Math.max(160, this.box_.clientHeight),
    };
  }

  /** Marks the times at which the far end talked. */
  private shade(plot: uPlot, colour: string): void {
    const at = plot.data[0];
    const { left, top, width, height } = plot.bbox;
    const context = plot.ctx;
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    context.fillStyle = colour;
    for (let i = 1; i < at.length; ++i) {
      if (!this.far_[i]) continue;
      const from = plot.valToPos(at[i - 1]!, 'x', true);
      const to = plot.valToPos(at[i]!, 'x', true);
      context.fillRect(from, top, to - from, height);
    }
    context.restore();
  }
}

const minus = (value: number) => String(value).replace('-', text.minus);
