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

/// For a server that is silent while there is another one: two of them leave time for a join in 3
/// s.
constexpr std::chrono::milliseconds kServerLimit{1000};
/// For the last server on the direct way, which is worth waiting for, where there is a tunnel.
constexpr std::chrono::milliseconds kDirectLimit{3000};

/// Whether another server, or the tunnel, could do better.
bool is_unreachable(const std::string& id) {
  return id == "SIG-903" || id == "TLS-955" || id.rfind("NET-", 0) == 0;
}

}  // namespace

Conference::Conference(Parts parts) : parts_(std::move(parts)), since_ms_(wall_ms()) { publish(); }

Conference::~Conference() {
  parts_.loop->cancel(timer_);
  parts_.loop->cancel(roster_timer_);
  parts_.loop->cancel(way_timer_);
  parts_.loop->cancel(renew_timer_);
  end_requests();
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
  servers_tried_ = 0;
  tunnel_needed_ = false;
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
  parts_.loop->cancel(way_timer_);
  timer_ = way_timer_ = 0;
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
  // Another server may be well; what this one refused the other would refuse as well.
  if (failure.retryable && next_server()) return;
  const bool again = failure.retryable || (stay_ && failure.error.id == "TLS-955");
  event(again ? CallEvent::kFailure : CallEvent::kRefused);
}

void Conference::login() {
  parts_.service->cancel_all();
  parts_.loop->cancel(renew_timer_);
  token_.clear();
  parts_.service->select(server_);
  arm_way(kServerLimit, &Conference::next_server);
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
    const auto& response = std::get<protocol::LoginResponse>(result);
    token_ = response.token;
    renew_later(response.expires_in_s);
    event(CallEvent::kLoggedIn);
  });
}

void Conference::request_join() {
  arm_way(kServerLimit, &Conference::next_server);
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
    way_ = 0;
    event(CallEvent::kJoined);
  });
}

void Conference::invite() {
  const auto& sip = way_ == 0 ? joined_->sip : joined_->alternatives[way_ - 1];
  MediaCallConfig config;
  config.target = sip.uri;
  config.host = sip.host;
  config.port = sip.port;
  config.transport = sip.transport;
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
  config.tunnel_mode =
      tunnel_needed_ ? TunnelMode::kAlways
                     : parse_tunnel_mode(parts_.settings->get_text(Key::kConferenceTunnelMode));
  if (joined_->tunnel) config.tunnel = tunnel_way(config.ca_file);
  route_.reset();
  MediaCall::Events events;
  const std::uint64_t number = ++call_number_;
  events.route = [this, number](Route route) {
    if (number != call_number_) return;
    route_ = route;
    publish();
    // Signalling has begun: from here on a silent server is given up for the next one.
    arm_way(way_ < joined_->alternatives.size() ? kServerLimit : kDirectLimit,
            &Conference::next_way);
  };
  events.answered = [this, number](const MediaCallInfo& info) {
    if (number != call_number_) return;
    info_ = info;
    event(CallEvent::kAnswered);
  };
  events.notified = [this](const std::string& name) {
    if (name == "check-sync" && parts_.check_sync) parts_.check_sync();
  };
  events.ended = [this, number](const Error& error, bool by_peer) {
    if (number != call_number_) return;
    if (machine_.state() == CallState::kConnecting && is_unreachable(error.id) && next_way()) {
      return;
    }
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
  end_requests();
  drop_call();
  if (!joined_) return event(CallEvent::kEnded);
  parts_.service->leave(token_, joined_->conference.id, joined_->participant.id,
                        [this](const ServiceResult<bool>&) { event(CallEvent::kEnded); });
}

void Conference::probe() {
  // The service ended the call. It answers when the conference is over or has removed us; when it
  // is going down or has come back without memory, the call is to be made again.
  end_requests();
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

bool Conference::next_server() {
  const CallState now = machine_.state();
  const std::size_t count = parts_.service->servers();
  if ((now != CallState::kServiceLogin && now != CallState::kJoining) ||
      servers_tried_ + 1 >= count) {
    return false;
  }
  ++servers_tried_;
  server_ = (server_ + 1) % count;
  log::warning("conference", "the service does not answer; trying the next server");
  event(CallEvent::kNextWay);
  return true;
}

bool Conference::may_tunnel() const {
  return joined_ && joined_->tunnel && !tunnel_needed_ && route_ != Route::kTunnel &&
         parse_tunnel_mode(parts_.settings->get_text(Key::kConferenceTunnelMode)) ==
             TunnelMode::kAutomatic;
}

bool Conference::next_way() {
  if (!joined_) return false;
  if (machine_.state() == CallState::kConnecting && way_ < joined_->alternatives.size()) {
    ++way_;
    log::warning("conference", "the SIP server does not answer; trying the next one");
  } else if (may_tunnel()) {
    tunnel_needed_ = true;
    way_ = 0;
    log::warning("conference", "the direct way is closed; trying the tunnel");
  } else {
    return false;
  }
  drop_call();
  event(CallEvent::kNextWay);
  return true;
}

void Conference::arm_way(std::chrono::milliseconds limit, bool (Conference::*next)()) {
  parts_.loop->cancel(way_timer_);
  way_timer_ = parts_.loop->after(limit, [this, next] { (this->*next)(); });
}

void Conference::renew_later(int expires_in_s) {
  parts_.loop->cancel(renew_timer_);
  token_until_ns_ = SystemClock::now() + std::int64_t{expires_in_s} * 1'000'000'000;
  renew_timer_ = parts_.loop->after(std::chrono::milliseconds(std::int64_t{expires_in_s} * 750),
                                    [this] { renew(); });
}

void Conference::renew() {
  if (token_.empty()) return;
  parts_.service->renew(token_, [this](const ServiceResult<protocol::LoginResponse>& result) {
    if (const auto* response = std::get_if<protocol::LoginResponse>(&result)) {
      token_ = response->token;
      log::info("conference", "the service's token is renewed");
      return renew_later(response->expires_in_s);
    }
    const auto& failure = std::get<ServiceFailure>(result);
    const std::int64_t left_ns = token_until_ns_ - SystemClock::now();
    log::warning("conference", "the service's token could not be renewed",
                 {{"id", failure.error.id}, {"left_s", left_ns / 1'000'000'000}});
    // Nobody need know as long as there is time to try again.
    if (!failure.retryable || left_ns < 1'000'000'000) return;
    renew_timer_ =
        parts_.loop->after(std::chrono::milliseconds(left_ns / 4'000'000), [this] { renew(); });
  });
}

TunnelWay Conference::tunnel_way(const std::string& ca_file) const {
  TunnelWay way;
  way.host = joined_->tunnel->host;
  way.port = joined_->tunnel->port;
  way.probe_port = joined_->tunnel->probe_port;
  way.username = joined_->tunnel->username;
  way.password = joined_->tunnel->password;
  way.ca_file = ca_file;
  if (parts_.proxy) {
    const RestConfig rest = parts_.proxy();
    way.proxy = rest.proxy;
    way.proxy_user = rest.proxy_user;
    way.proxy_password = rest.proxy_password;
  }
  return way;
}

void Conference::drop_call() {
  if (!call_) return;
  ++call_number_;
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
  end_requests();
  drop_call();
  token_.clear();
  parts_.loop->cancel(renew_timer_);
  passcode_.clear();
  joined_.reset();
  error_.reset();
  stay_ = was_active_ = false;
  parts_.state->replace("roster", Json::object());
  parts_.state->replace("meeting", Json::object());
  publish();
}

void Conference::forget_participant() {
  end_requests();
  // Where the service still listens it need not keep a participant who is not there.
  if (joined_) {
    parts_.service->leave(token_, joined_->conference.id, joined_->participant.id,
                          [](const ServiceResult<bool>&) {});
  }
  joined_.reset();
  parts_.state->replace("roster", Json::object());
  parts_.state->replace("meeting", Json::object());
}

void Conference::wait_and_retry() {
  forget_participant();
  servers_tried_ = 0;
  ++attempt_;
  const double spread = static_cast<double>(random_() % 1000) / 999.0;
  const auto delay = retry_delay(attempt_, spread);
  timer_ = parts_.loop->after(delay, [this] { event(CallEvent::kRetryDue); });
  publish();
}

}  // namespace conclave::control
