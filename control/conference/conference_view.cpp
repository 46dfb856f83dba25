// SPDX-License-Identifier: Apache-2.0
// What goes on in the conference, and what the state tree tells of it.
#include <chrono>
#include <cmath>

#include "control/conference/conference.h"
#include "control/errors/catalogue.h"

namespace conclave::control {
namespace {

namespace protocol = service::protocol;
using Json = nlohmann::json;

double rounded(double value, double step) { return std::round(value / step) * step; }

}  // namespace

void Conference::end_requests() {
  parts_.service->cancel_all();
  roster_running_ = mute_asking_ = false;
  desk_.cancel();
}

void Conference::command(const MeetingCommand& command, MeetingDesk::Outcome done) {
  if (machine_.state() != CallState::kActive || !joined_) return done(catalogue_error("CC-404"));
  using Verb = MeetingCommand::Verb;
  if (command.verb == Verb::kMute && command.participant == joined_->participant.id) {
    set_muted(command.on);
    return done(std::string());
  }
  desk_.ask(*parts_.service, token_, joined_->conference.id, command,
            [this, done = std::move(done)](const Result<std::string>& outcome) {
              if (machine_.state() == CallState::kActive) {
                if (outcome) {
                  error_.reset();
                } else {
                  set_error(outcome.error(), std::nullopt);
                }
                publish();
              }
              done(outcome);
            });
}

void Conference::poll_roster() {
  if (roster_running_ || machine_.state() != CallState::kActive || !joined_) return;
  roster_running_ = true;
  parts_.service->roster(token_, joined_->conference.id, roster_revision_,
                         [this](const ServiceResult<protocol::Roster>& result) {
                           roster_running_ = false;
                           if (machine_.state() != CallState::kActive) return;
                           if (const auto* failure = std::get_if<ServiceFailure>(&result)) {
                             reachable(failure->reached);
                             // The sound decides whether the call lives; the roster is asked again
                             // after a while.
                             parts_.loop->cancel(roster_timer_);
                             roster_timer_ = parts_.loop->after(std::chrono::seconds(2),
                                                                [this] { poll_roster(); });
                             return;
                           }
                           reachable(true);
                           take_roster(std::get<protocol::Roster>(result));
                           poll_roster();
                         });
}

void Conference::take_roster(const protocol::Roster& roster) {
  roster_revision_ = roster.revision;
  Json entries = Json::object();
  for (const auto& [id, entry] : roster.participants) {
    const bool self = id == joined_->participant.id;
    entries[id] = {{"name", entry.name},
                   {"role", protocol::to_string(entry.role)},
                   {"muted", entry.muted},
                   {"talking", entry.talking},
                   {"self", self}};
    if (entry.kind != protocol::Kind::kPhone) entries[id]["kind"] = to_string(entry.kind);
    if (entry.progress != protocol::Progress::kConnected) {
      entries[id]["call"] = to_string(entry.progress);
    }
    if (!entry.error.empty()) {
      entries[id]["error"] =
          error_json(catalogue_error(entry.error),
                     parse_language(parts_.settings->get_text(Key::kDeviceLanguage)));
    }
    if (entry.operator_asked) entries[id]["operator_asked"] = true;
    // A chairperson may mute this line; nobody but the people here may open it.
    if (self && entry.muted && !muted_ && !muted_by_request_) {
      muted_ = true;
      parts_.mute_engine(true);
      publish();
    }
    if (self && entry.muted == muted_) muted_by_request_ = false;
    // Opened by somebody else, but not here: the others are to see how it is.
    if (self && !entry.muted && muted_ && !muted_by_request_ && !mute_refused_) {
      tell_service_muted();
    }
  }
  parts_.state->replace("roster", entries);
  Json meeting{{"muted_all", roster.all_muted}, {"recording", roster.recording}};
  if (roster.recording) meeting["recording_since_ms"] = roster.recording_since_ms;
  parts_.state->replace("meeting", meeting);
}

void Conference::set_muted(bool muted) {
  muted_ = muted;
  parts_.mute_engine(muted);
  publish();
  if (machine_.state() == CallState::kActive) tell_service_muted();
}

void Conference::tell_service_muted() {
  muted_by_request_ = true;
  if (mute_asking_) return;
  mute_asking_ = true;
  parts_.service->mute(token_, joined_->conference.id, joined_->participant.id, muted_,
                       [this, told = muted_](const ServiceResult<bool>& result) {
                         mute_asking_ = false;
                         if (machine_.state() != CallState::kActive) return;
                         if (told != muted_) return tell_service_muted();
                         mute_refused_ = std::holds_alternative<ServiceFailure>(result);
                         if (const auto* failure = std::get_if<ServiceFailure>(&result)) {
                           muted_by_request_ = false;
                           set_error(failure->error, failure->detail);
                           publish();
                         }
                       });
}

void Conference::tick() {
  if (machine_.state() != CallState::kActive || !call_) return;
  const media::CallStats stats = call_->stats();
  const std::int64_t now = SystemClock::now();
  if (stats.rx_packets != rx_packets_) {
    rx_packets_ = stats.rx_packets;
    rx_changed_ns_ = now;
  }
  quality_ = quality_of(stats);
  publish();
  // A firewall that lets the question through may still stop the sound.
  if (rx_packets_ == 0 && now - active_ns_ > 2'000'000'000 && may_tunnel() && next_way()) return;
  const std::int64_t limit = parts_.settings->get_int(Key::kConferenceMediaTimeout);
  if (now - rx_changed_ns_ > limit * 1'000'000'000) {
    set_error(catalogue_error("NET-956", "no sound from the service"), std::nullopt);
    event(CallEvent::kMediaLost);
  }
}

Json Conference::quality_of(const media::CallStats& s) {
  Json q{{"tx_packets", s.tx_packets},
         {"rx_packets", s.rx_packets},
         {"lost", s.rx_lost},
         {"loss_percent", rounded(s.loss_percent, 0.01)},
         {"remote_loss_percent", rounded(s.remote_loss_percent, 0.01)},
         {"jitter_ms", rounded(s.jitter_ms, 0.1)},
         {"delay_ms", rounded(s.delay_ms, 0.1)},
         {"buffer_ms", rounded(s.buffer_ms, 0.1)},
         {"concealed_ms", s.concealed_ms},
         {"tx_kbps", rounded(s.tx_kbps, 0.1)},
         {"rx_kbps", rounded(s.rx_kbps, 0.1)}};
  if (s.rtt_ms >= 0) q["rtt_ms"] = rounded(s.rtt_ms, 0.1);
  if (s.mos > 0) q["mos"] = rounded(s.mos, 0.01);
  return q;
}

void Conference::publish() {
  const CallState now = machine_.state();
  Json call{{"state", name_of(now)},
            {"step", row_of(now).step},
            {"since_ms", since_ms_},
            {"muted", muted_}};
  if (joined_) {
    call["conference"] = {{"id", joined_->conference.id},
                          {"title", joined_->conference.title},
                          {"role", protocol::to_string(joined_->participant.role)}};
  }
  if (now == CallState::kActive) {
    call["codec"] = info_.codec;
    call["security"] = info_.security;
    if (quality_.is_object()) call["quality"] = quality_;
  }
  if (now == CallState::kRetrying) call["attempt"] = attempt_;
  if (route_ && (now == CallState::kConnecting || now == CallState::kActive)) {
    call["route"] = name_of(*route_);
  }
  if (now == CallState::kConnecting && joined_) {
    call["sip_server"] = (way_ == 0 ? joined_->sip : joined_->alternatives[way_ - 1]).host;
  }
  if (servers_tried_ > 0 && now != CallState::kIdle) call["server"] = parts_.service->address();
  if (error_) call["error"] = error_json_now();
  parts_.state->replace("call", call);
}

}  // namespace conclave::control
