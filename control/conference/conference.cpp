// SPDX-License-Identifier: Apache-2.0
#include "control/conference/conference.h"

#include <chrono>
#include <cmath>

#include "base/log.h"
#include "control/errors/catalogue.h"
#include "control/loop/wall_clock.h"

namespace conclave::control {
namespace {

namespace protocol = service::protocol;
using Json = nlohmann::json;

double rounded(double value, double step) { return std::round(value / step) * step; }

}  // namespace

Conference::Conference(Parts parts) : parts_(std::move(parts)), since_ms_(wall_ms()) { publish(); }

Conference::~Conference() {
  parts_.loop->cancel(timer_);
  parts_.loop->cancel(roster_timer_);
  parts_.service->cancel_all();
}

bool Conference::persistent() const {
  return stay_ || (was_active_ && parts_.settings->get_bool(Key::kDvmsFailover));
}

Status Conference::join(const std::string& passcode, const std::string& email) {
  return begin(passcode, email, false);
}

Status Conference::join_and_stay(const std::string& passcode, const std::string& email) {
  return begin(passcode, email, true);
}

Status Conference::begin(const std::string& passcode, const std::string& email, bool stay) {
  if (!protocol::valid_passcode(passcode)) return catalogue_error("IN-PASSCODE");
  if (!email.empty() && !protocol::valid_email(email)) return catalogue_error("IN-EMAIL");
  if (parts_.admitted) CONCLAVE_CHECK_STATUS(parts_.admitted());
  const CallState now = machine_.state();
  if (now != CallState::kIdle && now != CallState::kFailed && now != CallState::kRetrying) {
    return Error{"there is a conference already; leave it first"};
  }
  passcode_ = passcode;
  email_ = email;
  stay_ = stay;
  was_active_ = false;
  attempt_ = 0;
  token_retried_ = false;
  error_.reset();
  begun_ns_ = SystemClock::now();
  seconds_to_join_ = 0;
  event(CallEvent::kJoin);
  return {};
}

void Conference::leave() {
  stay_ = false;
  was_active_ = false;
  event(CallEvent::kLeave);
}

void Conference::event(CallEvent event) {
  const CallState before = machine_.state();
  const auto taken = machine_.take(event, persistent());
  if (!taken.moved) return;
  const CallState now = machine_.state();
  log::info("conference", "state", {{"from", name_of(before)}, {"to", name_of(now)}});
  parts_.loop->cancel(timer_);
  timer_ = 0;
  since_ms_ = wall_ms();
  if (event == CallEvent::kDeadline && !row_of(before).deadline_error.empty()) {
    set_error(catalogue_error(row_of(before).deadline_error), std::nullopt);
  }
  const auto limit = row_of(now).limit;
  if (limit.count() > 0) {
    timer_ = parts_.loop->after(limit, [this] { this->event(CallEvent::kDeadline); });
  }
  // Whoever watches sees a state before the outcome of what it begins. Where a state is an outcome
  // itself, the action tells it, with all that belongs to it in one change.
  switch (taken.action) {
    case CallAction::kEnterCall:
    case CallAction::kReset:
    case CallAction::kFail:
    case CallAction::kWait:
      break;
    default:
      publish();
  }
  act(taken.action);
}

void Conference::act(CallAction action) {
  switch (action) {
    case CallAction::kNone:
      return;
    case CallAction::kLogin:
      return login();
    case CallAction::kRequestJoin:
      return request_join();
    case CallAction::kInvite:
      return invite();
    case CallAction::kEnterCall:
      return enter_call();
    case CallAction::kHangUp:
      return hang_up();
    case CallAction::kProbe:
      return probe();
    case CallAction::kReset:
      return reset();
    case CallAction::kFail:
      drop_call();
      forget_participant();
      passcode_.clear();
      return publish();
    case CallAction::kWait:
      drop_call();
      return wait_and_retry();
  }
}

void Conference::set_error(const Error& error, const std::optional<Error>& detail) {
  error_ = Failure{error, detail};
  log::warning("conference", error.message, {{"id", error.id}});
}

Json Conference::error_json_now() const {
  const Language language = parse_language(parts_.settings->get_text(Key::kDeviceLanguage));
  Json out = error_json(error_->error, language);
  const ErrorRow* row = find_error(error_->error.id);
  if (error_->detail) {
    out["detail"] = error_json(*error_->detail, language);
  } else if (row != nullptr && row->code >= 902 && row->code <= 963) {
    // The guide's screen shows this message and the code behind its (?) symbol.
    out["umbrella"] = error_json(catalogue_error("JOIN-UNAVAILABLE"), language);
  }
  return out;
}

void Conference::language_changed() {
  if (error_) publish();
}

void Conference::reachable(bool yes) {
  parts_.state->publish(
      {{"service",
        {{"reachable", yes}, {"address", parts_.settings->get_text(Key::kDvmsServerAddress)}}}});
}

void Conference::failed(const ServiceFailure& failure) {
  reachable(failure.reached);
  set_error(failure.error, failure.detail);
  // A phone that stays in by itself also outlives a clock that is not set yet.
  const bool again = failure.retryable || (stay_ && failure.error.id == "TLS-955");
  event(again ? CallEvent::kFailure : CallEvent::kRefused);
}

void Conference::login() {
  parts_.service->cancel_all();
  token_.clear();
  protocol::LoginRequest request;
  request.serial = parts_.serial;
  request.model = parts_.model;
  request.version = parts_.version;
  request.display_name = parts_.settings->get_text(Key::kSipAccountDisplayName);
  if (request.display_name.empty()) {
    request.display_name = parts_.settings->get_text(Key::kDeviceName);
  }
  request.activation = parts_.settings->get_text(Key::kDvmsAuthToken);
  parts_.service->login(request, [this](ServiceResult<protocol::LoginResponse> result) {
    if (const auto* failure = std::get_if<ServiceFailure>(&result)) {
      if (failure->reached && parts_.login_refused) parts_.login_refused(failure->error);
      return failed(*failure);
    }
    reachable(true);
    token_ = std::get<protocol::LoginResponse>(result).token;
    event(CallEvent::kLoggedIn);
  });
}

void Conference::request_join() {
  protocol::JoinRequest request;
  request.passcode = passcode_;
  request.email = email_;
  request.display_name = parts_.settings->get_text(Key::kSipAccountDisplayName);
  if (request.display_name.empty()) {
    request.display_name = parts_.settings->get_text(Key::kDeviceName);
  }
  parts_.service->join(token_, request, [this](ServiceResult<protocol::JoinResponse> result) {
    if (const auto* failure = std::get_if<ServiceFailure>(&result)) {
      if (failure->token_rejected && !token_retried_) {
        token_retried_ = true;
        return event(CallEvent::kTokenRejected);
      }
      return failed(*failure);
    }
    joined_ = std::get<protocol::JoinResponse>(std::move(result));
    event(CallEvent::kJoined);
  });
}

void Conference::invite() {
  MediaCallConfig config;
  config.target = joined_->sip.uri;
  config.host = joined_->sip.host;
  config.port = joined_->sip.port;
  config.transport = joined_->sip.transport;
  config.header_name = protocol::kParticipantHeader;
  config.header_value = protocol::participant_header(joined_->participant.id, token_);
  config.display_name = parts_.settings->get_text(Key::kSipAccountDisplayName);
  config.ca_file = parts_.settings->get_text(Key::kSecurityCertificatesServiceCa);
  if (config.ca_file.empty()) config.ca_file = "/etc/ssl/certs/ca-certificates.crt";
  config.folder = parts_.sip_folder;
  config.local_address = parts_.settings->get_text(Key::kSipConferenceLocalAddress);
  config.local_sip_port = static_cast<int>(parts_.settings->get_int(Key::kSipConferenceLocalPort));
  config.local_rtp_port = static_cast<int>(parts_.settings->get_int(Key::kMediaRtpLocalPort));
  config.bitrate = static_cast<int>(parts_.settings->get_int(Key::kMediaOpusBitrate));
  config.sample_rate = parts_.sample_rate;
  MediaCall::Events events;
  events.answered = [this](const MediaCallInfo& info) {
    info_ = info;
    event(CallEvent::kAnswered);
  };
  events.notified = [this](const std::string& name) {
    if (name == "check-sync" && parts_.check_sync) parts_.check_sync();
  };
  events.ended = [this](const Error& error, bool by_peer) {
    if (by_peer && machine_.state() == CallState::kActive) return event(CallEvent::kPeerEnded);
    set_error(error, std::nullopt);
    if (machine_.state() == CallState::kActive) return event(CallEvent::kMediaLost);
    const ErrorRow* row = find_error(error.id);
    const bool again = row == nullptr || row->retryable || (stay_ && error.id == "TLS-955");
    event(machine_.state() == CallState::kLeaving ? CallEvent::kEnded
          : again                                 ? CallEvent::kFailure
                                                  : CallEvent::kRefused);
  };
  call_ = parts_.calls();
  if (const Status started = call_->start(config, std::move(events)); !started) {
    Error error = started.error();
    if (error.id.empty()) error = catalogue_error("JOIN-984", error.message);
    set_error(error, std::nullopt);
    event(CallEvent::kFailure);
  }
}

void Conference::enter_call() {
  if (was_active_) ++rejoins_;
  was_active_ = true;
  attempt_ = 0;
  token_retried_ = false;
  error_.reset();
  active_ns_ = SystemClock::now();
  if (seconds_to_join_ == 0) seconds_to_join_ = static_cast<double>(active_ns_ - begun_ns_) / 1e9;
  rx_packets_ = 0;
  rx_changed_ns_ = active_ns_;
  roster_revision_.reset();
  publish();
  poll_roster();
  if (muted_) tell_service_muted();
}

void Conference::hang_up() {
  parts_.service->cancel_all();
  roster_running_ = false;
  drop_call();
  if (!joined_) return event(CallEvent::kEnded);
  parts_.service->leave(token_, joined_->conference.id, joined_->participant.id,
                        [this](const ServiceResult<bool>&) { event(CallEvent::kEnded); });
}

void Conference::probe() {
  // The service ended the call. It answers when the conference is over or has removed us; when it
  // is going down or has come back without memory, the call is to be made again.
  parts_.service->cancel_all();
  roster_running_ = false;
  drop_call();
  parts_.service->roster(
      token_, joined_->conference.id, std::nullopt,
      [this](const ServiceResult<protocol::Roster>& result) {
        const auto* failure = std::get_if<ServiceFailure>(&result);
        if (stay_ || (failure != nullptr && (!failure->reached || failure->token_rejected))) {
          set_error(failure != nullptr ? failure->error : catalogue_error("NET-951"), std::nullopt);
          return event(CallEvent::kFailure);
        }
        event(CallEvent::kEnded);
      });
}

void Conference::drop_call() {
  if (!call_) return;
  last_stats_ = call_->stats();
  if (active_ns_ != 0) {
    seconds_active_ += static_cast<double>(SystemClock::now() - active_ns_) / 1e9;
    active_ns_ = 0;
  }
  // Not from within one of its own events.
  parts_.loop->post([gone = std::shared_ptr<MediaCall>(std::move(call_))] {});
  quality_ = nullptr;
}

double Conference::seconds_active() const {
  return seconds_active_ +
         (active_ns_ != 0 ? static_cast<double>(SystemClock::now() - active_ns_) / 1e9 : 0.0);
}

void Conference::reset() {
  parts_.service->cancel_all();
  roster_running_ = false;
  drop_call();
  token_.clear();
  passcode_.clear();
  joined_.reset();
  error_.reset();
  stay_ = was_active_ = false;
  parts_.state->replace("roster", Json::object());
  publish();
}

void Conference::forget_participant() {
  parts_.service->cancel_all();
  roster_running_ = false;
  // Where the service still listens it need not keep a participant who is not there.
  if (joined_) {
    parts_.service->leave(token_, joined_->conference.id, joined_->participant.id,
                          [](const ServiceResult<bool>&) {});
  }
  joined_.reset();
  parts_.state->replace("roster", Json::object());
}

void Conference::wait_and_retry() {
  forget_participant();
  ++attempt_;
  const double spread = static_cast<double>(random_() % 1000) / 999.0;
  const auto delay = retry_delay(attempt_, spread);
  timer_ = parts_.loop->after(delay, [this] { event(CallEvent::kRetryDue); });
  publish();
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
    // A chairperson may mute this line; nobody but the people here may open it.
    if (self && entry.muted && !muted_ && !muted_by_request_) {
      muted_ = true;
      parts_.mute_engine(true);
      publish();
    }
    if (self && entry.muted == muted_) muted_by_request_ = false;
  }
  parts_.state->replace("roster", entries);
}

void Conference::set_muted(bool muted) {
  muted_ = muted;
  parts_.mute_engine(muted);
  publish();
  if (machine_.state() == CallState::kActive) tell_service_muted();
}

void Conference::tell_service_muted() {
  muted_by_request_ = true;
  parts_.service->mute(token_, joined_->conference.id, joined_->participant.id, muted_,
                       [this](const ServiceResult<bool>& result) {
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
  if (error_) call["error"] = error_json_now();
  parts_.state->replace("call", call);
}

}  // namespace conclave::control
