// SPDX-License-Identifier: Apache-2.0
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { EchoHistory } from '../lib/echo_history';
import { number } from '../lib/format';
import { on_meters } from '../model/meters';
import { echo } from '../model/phone';
import { palette } from '../parts/canvas';
import { Card } from '../parts/card';
import { PauseIcon, PlayIcon } from '../parts/icons';
import { text } from '../text';
import type { EchoPlot } from './echo_plot';

export function EchoPanel() {
  const box = useRef<HTMLDivElement>(null);
  const now_figure = useRef<HTMLElement>(null);
  const residual_figure = useRef<HTMLElement>(null);
  const [paused, set_paused] = useState(false);
  const is_paused = useRef(paused);
  is_paused.current = paused;
  const colours = palette.value;
  const [history] = useState(() => new EchoHistory());

  useLayoutEffect(() => {
    let plot: EchoPlot | undefined;
    let gone = false;
    // The chart is the largest part of the app and not the first thing that is looked at.
    import('./echo_plot').then(
      (module) => {
        if (gone || !box.current) return;
        plot = new module.EchoPlot(box.current, colours);
        plot.show(history);
      },
      () => undefined,
    );
    const stop = on_meters((frame, now) => {
      if (!history.add(now, frame.erle_db, frame.far_active)) return;
      const far = frame.far_active;
      now_figure.current!.textContent = far ? number(frame.erle_db, 1) : text.unknown;
      residual_figure.current!.textContent = far ? number(frame.residual_db) : text.unknown;
      if (!is_paused.current) plot?.show(history);
    });
    return () => {
      gone = true;
      stop();
      plot?.destroy();
    };
  }, [colours]);

  const delay = echo.value?.delay_ms;
  const erle = echo.value?.erle_db;
  return (
    <Card
      heading={text.echo.heading}
      span={5}
      aside={
        <button
          type="button"
          class="button plain"
          aria-pressed={paused}
          onClick={() => set_paused(!paused)}
        >
          {paused ? <PlayIcon size={16} /> : <PauseIcon size={16} />}
          {paused ? text.echo.resume : text.echo.pause}
        </button>
      }
    >
      <dl class="headline">
        <div>
          <dt>{text.echo.reduction}</dt>
          <dd>
            <span ref={now_figure}>{text.unknown}</span>
            <small>{text.unit.db}</small>
          </dd>
        </div>
        <div>
          <dt>{text.echo.residual}</dt>
          <dd>
            <span ref={residual_figure}>{text.unknown}</span>
            <small>{text.levels.unit}</small>
          </dd>
        </div>
        <div>
          <dt>{text.echo.delay}</dt>
          <dd>
            {number(delay)}
            <small>{text.unit.ms}</small>
          </dd>
        </div>
      </dl>
      <div
        ref={box}
        class="echo-plot"
        role="img"
        aria-label={text.echo.summary(`${number(erle)} ${text.unit.db}`)}
      />
      <p class="legend" aria-hidden="true">
        <span>
          <i class="square" /> {text.echo.axis}
        </span>
        <span>
          <i class="shade" /> {text.echo.far}
        </span>
      </p>
    </Card>
  );
}
