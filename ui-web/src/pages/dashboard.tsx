// SPDX-License-Identifier: Apache-2.0
import { CallPanel } from '../panels/call_panel';
import { EchoPanel } from '../panels/echo_panel';
import { HealthPanel } from '../panels/health_panel';
import { LevelsPanel } from '../panels/levels_panel';
import { PlayerPanel } from '../panels/player_panel';
import { QualityPanel } from '../panels/quality_panel';
import { RosterPanel } from '../panels/roster_panel';
import { TalkerPanel } from '../panels/talker_panel';
import { Notice } from '../parts/notice';
import { text } from '../text';

export function Dashboard({ must_change_password }: { must_change_password: boolean }) {
  return (
    <>
      <CallPanel />
      <div class="cards">
        {must_change_password && (
          <div class="span-12">
            <Notice kind="fair" title={text.login.change_password} />
          </div>
        )}
        <LevelsPanel />
        <TalkerPanel />
        <RosterPanel />
        <EchoPanel />
        <QualityPanel />
        <HealthPanel />
        <PlayerPanel />
      </div>
    </>
  );
}
