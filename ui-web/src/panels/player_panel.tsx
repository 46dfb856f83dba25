// SPDX-License-Identifier: Apache-2.0
import { useEffect, useState } from 'preact/hooks';
import { Card } from '../parts/card';
import { Notice } from '../parts/notice';
import { text } from '../text';
import type { AbPlayer } from '../lib/ab_player';

const kSeconds = 20;
const kUrls: [string, string] = [
  `/api/v1/recordings/raw.wav?seconds=${kSeconds}`,
  `/api/v1/recordings/sent.wav?seconds=${kSeconds}`,
];

type Controls = typeof import('./player_controls').PlayerControls;

/** One raw microphone against what the conference hears. Player and pictures come on demand. */
export function PlayerPanel() {
  const [player, set_player] = useState<AbPlayer | undefined>();
  const [controls, set_controls] = useState<{ part: Controls } | undefined>();
  const [busy, set_busy] = useState(false);
  const [failed, set_failed] = useState(false);
  useEffect(() => () => player?.close(), [player]);

  async function load(): Promise<void> {
    set_busy(true);
    set_failed(false);
    try {
      const [{ PlayerControls }, { AbPlayer: Player }] = await Promise.all([
        import('./player_controls'),
        import('../lib/ab_player'),
      ]);
      set_player(await Player.load(kUrls));
      set_controls({ part: PlayerControls });
    } catch {
      set_failed(true);
    }
    set_busy(false);
  }

  const Part = controls?.part;
  const words = text.player;
  return (
    <Card
      heading={words.heading}
      span={12}
      aside={
        <button type="button" class="button plain" disabled={busy} onClick={() => void load()}>
          {busy ? words.loading : player ? words.reload : words.load}
        </button>
      }
    >
      {!player && <p class="soft">{words.lead}</p>}
      {failed && <Notice title={words.failed}>{words.failed_hint}</Notice>}
      {player && Part && <Part player={player} />}
    </Card>
  );
}
