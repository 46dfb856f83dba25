// SPDX-License-Identifier: Apache-2.0
#include "service/focus/dial_out.h"

#include <array>
#include <utility>

#include "base/log.h"
#include "service/protocol/messages.h"

namespace conclave::service {
namespace {

constexpr const char* kLog = "service.dial-out";

using media::SignallingEvent;
using media::SipTransport;
using protocol::Kind;
using protocol::Progress;

SipTransport transport_of(const std::string& address) {
  if (address.find(";transport=tls") != std::string::npos || address.rfind("sips:", 0) == 0) {
    return SipTransport::kTls;
  }
  if (address.find(";transport=tcp") != std::string::npos) return SipTransport::kTcp;
  return SipTransport::kUdp;
}

/// Whether nobody was reached at all, or somebody did not want to or could not.
bool system_failed(int code) {
  return code == 0 || code == 408 || code == 488 || code == 503 || code == 504 || code == 401 ||
         code == 407;
}

}  // namespace

Result<std::string> dial_address(const DialOutRules& rules, const std::string& to) {
  const Error denied{"", "CC-DIALOUT-DENIED"};
  if (to.rfind("sip:", 0) == 0 || to.rfind("sips:", 0) == 0) {
    if (!rules.addresses) return denied;
    return to;
  }
  if (rules.gateway.empty()) return denied;
  const auto colon = rules.gateway.find(':');
  std::string number;
  // '#' has a meaning of its own in an address.
  for (const char c : to) number += c == '#' ? "%23" : std::string(1, c);
  return rules.gateway.substr(0, colon + 1) + number + "@" + rules.gateway.substr(colon + 1);
}

DialOut::DialOut(DialOutConfig config, Relay& relay, Bridge& bridge, ConferenceBook& book)
    : config_(std::move(config)), relay_(relay), bridge_(bridge), book_(book) {}

void DialOut::close() {
  std::array<std::unique_ptr<media::Signalling>, kTransports> agents;
  {
    const std::lock_guard lock(agents_mutex_);
    closing_ = true;
    for (std::size_t i = 0; i < kTransports; ++i) agents[i] = std::move(agents_[i]);
  }
}

Result<media::Signalling*> DialOut::agent_of(SipTransport transport) {
  const auto index = static_cast<std::size_t>(transport);
  if (closing_) return Error{"the service is ending", "CC-DIALOUT-CCS"};
  auto& agent = agents_[index];
  if (agent) return agent.get();
  media::SignallingConfig sip;
  sip.transport = transport;
  sip.bind_address = config_.listen;
  sip.user = config_.rules.user.empty() ? "conclave" : config_.rules.user;
  sip.auth_user = config_.rules.user;
  sip.auth_password = config_.rules.password;
  sip.display_name = "Conference";
  sip.domain = config_.advertise;
  sip.user_agent = "Conclave-Service";
  sip.invite_timeout_s = config_.rules.answer_within_s;
  if (transport == SipTransport::kTls) {
    sip.folder = config_.folder;
    sip.ca_file = config_.rules.ca_file;
    sip.certificate_file = config_.certificate_file;
    sip.key_file = config_.key_file;
  }
  auto made = media::create_signalling(
      sip, [this, index](const SignallingEvent& event) { on_event(index, event); });
  if (!made) {
    log::error(kLog, made.error().message);
    return Error{made.error().message, "CC-DIALOUT-CCS"};
  }
  agent = std::move(*made);
  return agent.get();
}

Status DialOut::call(const ConferenceBook::Participant& participant, const std::string& to) {
  CONCLAVE_TRY(const std::string address, dial_address(config_.rules, to));
  const SipTransport transport = transport_of(address);
  const auto ports = relay_.open();
  if (!ports) return Error{ports.error().message, "CC-DIALOUT-CCS"};
  Call call;
  call.ports = *ports;
  call.conference = participant.conference;
  call.member = participant.id + "-out";
  call.kind = participant.entry.kind;
  call.agent = static_cast<std::size_t>(transport);
  media::LocalMedia local;
  local.address = config_.advertise;
  local.port = ports->phone;
  local.ptime_ms = 20;
  if (transport != SipTransport::kTls) {
    local.require_srtp = false;
    local.suites.clear();
  }
  auto offer = media::make_offer(local);
  Status status = offer ? Status{} : Status(Error{offer.error().message, "CC-DIALOUT-CCS"});
  if (status) {
    call.offer = std::move(*offer);
    const std::lock_guard agents(agents_mutex_);
    auto agent = agent_of(transport);
    if (!agent) {
      status = agent.error();
    } else {
      // Its events wait until the call is entered.
      const std::lock_guard lock(mutex_);
      const auto sip = (*agent)->invite({address, call.offer, {}});
      if (sip) {
        call.sip = *sip;
        calls_[participant.id] = call;
      } else {
        status = Error{sip.error().message, "CC-DIALOUT-CCS"};
      }
    }
  }
  if (!status) {
    relay_.close(ports->leg);
    log::warning(kLog, "no call", {{"why", status.error().message}});
    return status;
  }
  log::info(kLog, "calling",
            {{"participant", participant.id}, {"conference", participant.conference}});
  return {};
}

void DialOut::hang_up(const std::string& participant) {
  const std::lock_guard agents(agents_mutex_);
  const std::lock_guard lock(mutex_);
  const auto it = calls_.find(participant);
  if (it == calls_.end()) return;
  if (auto& agent = agents_[it->second.agent]) agent->hang_up(it->second.sip);
}

void DialOut::set_muted(const std::string& participant, bool muted) {
  if (const auto leg = leg_of(participant)) relay_.set_muted(*leg, muted);
}

std::optional<std::string> DialOut::participant_of(LegId leg) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, call] : calls_) {
    if (call.ports.leg == leg) return id;
  }
  return std::nullopt;
}

LegId DialOut::leg_of_member(const std::string& member) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, call] : calls_) {
    if (call.member == member) return call.ports.leg;
  }
  return 0;
}

std::optional<LegId> DialOut::leg_of(const std::string& participant) const {
  const std::lock_guard lock(mutex_);
  const auto it = calls_.find(participant);
  if (it == calls_.end()) return std::nullopt;
  return it->second.ports.leg;
}

void DialOut::on_event(std::size_t agent, const SignallingEvent& event) {
  if (event.kind == SignallingEvent::Kind::kIncoming) {
    // Nobody has anything to call here; conferences are reached through the focus.
    const std::lock_guard lock(agents_mutex_);
    if (agents_[agent]) agents_[agent]->reject(event.call, 403, "Forbidden");
    return;
  }
  std::string participant;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, call] : calls_) {
      if (call.agent == agent && call.sip == event.call) participant = id;
    }
  }
  if (participant.empty()) return;
  switch (event.kind) {
    case SignallingEvent::Kind::kRinging:
      book_.set_progress(participant, Progress::kRinging);
      return;
    case SignallingEvent::Kind::kAnswered:
      return answered(participant, event);
    case SignallingEvent::Kind::kUpdated: {
      // A gateway that puts us on hold and the like; the terms of the call stay as they are.
      const std::lock_guard lock(agents_mutex_);
      if (agents_[agent]) agents_[agent]->reject(event.call, 488, "Not Acceptable Here");
      return;
    }
    case SignallingEvent::Kind::kEnded:
      return ended(participant, event);
    default:
      return;
  }
}

void DialOut::answered(const std::string& participant, const SignallingEvent& event) {
  Call call;
  {
    const std::lock_guard lock(mutex_);
    const auto it = calls_.find(participant);
    if (it == calls_.end()) return;
    call = it->second;
  }
  const auto peer = event.sdp
                        ? media::accept_answer(call.offer, *event.sdp)
                        : Result<media::MediaPeer>(Error{"no usable answer: " + event.detail});
  const Status connected =
      peer ? relay_.connect(call.ports.leg, *peer) : Status(Error{peer.error().message});
  if (!connected) {
    log::warning(kLog, "no common media",
                 {{"participant", participant}, {"why", connected.error().message}});
    give_up(participant, call.kind == Kind::kOperator ? "CC-OPERATOR" : "CC-DIALOUT-CCS");
    return hang_up(participant);
  }
  if (call.connected) return;
  {
    const std::lock_guard lock(mutex_);
    const auto it = calls_.find(participant);
    if (it == calls_.end()) return;
    it->second.connected = true;
  }
  const auto entry = book_.find(participant);
  if (!entry) return hang_up(participant);  // removed while it rang
  relay_.set_muted(call.ports.leg, entry->entry.muted);
  bridge_.add(call.member, call.conference, call.ports.bridge);
  book_.arrived(participant);
  if (call.kind == Kind::kOperator) book_.operator_arrived(call.conference);
  log::info(kLog, "answered", {{"participant", participant}});
}

void DialOut::give_up(const std::string& participant, std::string_view error) {
  book_.set_progress(participant, Progress::kFailed, error);
}

void DialOut::ended(const std::string& participant, const SignallingEvent& event) {
  Call call;
  {
    const std::lock_guard lock(mutex_);
    const auto it = calls_.find(participant);
    if (it == calls_.end()) return;
    call = std::move(it->second);
    calls_.erase(it);
  }
  relay_.close(call.ports.leg);
  if (call.connected) bridge_.remove(call.member);
  log::info(kLog, "call ended",
            {{"participant", participant}, {"code", event.code}, {"reason", event.reason}});
  const auto entry = book_.find(participant);
  if (!entry) return;
  if (call.connected) {
    book_.remove(participant);
  } else if (entry->entry.progress != Progress::kFailed) {
    give_up(participant, call.kind == Kind::kOperator ? "CC-OPERATOR"
                         : system_failed(event.code)  ? "CC-DIALOUT-CCS"
                                                      : "CC-DIALOUT");
  }
}

}  // namespace conclave::service
