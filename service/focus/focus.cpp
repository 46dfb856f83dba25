// SPDX-License-Identifier: Apache-2.0
#include "service/focus/focus.h"

#include <strings.h>

#include <ctime>
#include <map>
#include <mutex>
#include <utility>

#include "base/log.h"
#include "media/sip/sdp.h"
#include "media/sip/signalling.h"
#include "service/protocol/messages.h"

namespace conclave::service {
namespace {

constexpr const char* kLog = "service.focus";

using media::CallId;
using media::SignallingEvent;

std::string header_of(const SignallingEvent& event, std::string_view name) {
  for (const auto& header : event.headers) {
    if (header.name.size() == name.size() &&
        strncasecmp(header.name.data(), name.data(), name.size()) == 0) {
      return header.value;
    }
  }
  return {};
}

struct Call {
  LegPorts ports{};
  std::string participant{};
  std::string member{};  ///< name in the mixer, unique for each call
};

class SipFocus final : public Focus {
 public:
  SipFocus(const FocusConfig& config, Authenticate authenticate, ConferenceBook& book)
      : config_(config), authenticate_(std::move(authenticate)), book_(book) {}

  ~SipFocus() override {
    std::unique_ptr<media::Signalling> signalling;
    {
      const std::lock_guard lock(signalling_mutex_);
      signalling = std::move(signalling_);
    }
    signalling.reset();  // hangs up; its last events still find relay and mixer
    if (dial_out_) dial_out_->close();
    bridge_.reset();  // uses the relay
    relay_.reset();   // its thread asks for calls until now
  }

  Status run() {
    RelayConfig relay_config;
    relay_config.media_address = config_.listen;
    relay_config.silent_after_s = config_.silent_after_s;
    Relay::Listener listener;
    listener.talking = [this](LegId leg, bool talking) {
      if (const auto call = call_of_leg(leg)) {
        book_.set_talking(call->second.participant, talking);
      } else if (const auto called = called_of_leg(leg)) {
        book_.set_talking(*called, talking);
      }
    };
    listener.silent = [this](LegId leg) {
      const auto call = call_of_leg(leg);
      if (const auto called = call ? std::nullopt : called_of_leg(leg)) {
        log::warning(kLog, "nothing comes from a called line any more; hanging up",
                     {{"participant", *called}});
        book_.remove(*called);
      }
      if (!call) return;
      log::warning(kLog, "nothing comes from a phone any more; hanging up",
                   {{"participant", call->second.participant}});
      hang_up(call->first);
    };
    CONCLAVE_TRY(relay_, Relay::start(relay_config, std::move(listener)));

    BridgeConfig bridge_config;
    bridge_config.folder = config_.folder + "/janus";
    bridge_config.prebuffer = config_.prebuffer;
    bridge_config.recordings = config_.recordings;
    bridge_config.recorded = [this](const std::string& room, bool recording, const Status& status) {
      timespec now{};
      clock_gettime(CLOCK_REALTIME, &now);
      book_.set_recording(room, recording,
                          std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000, !status);
    };
    CONCLAVE_TRY(bridge_, Bridge::start(bridge_config,
                                        [this](const std::string& member, std::uint16_t port) {
                                          LegId leg = 0;
                                          {
                                            const std::lock_guard lock(mutex_);
                                            for (const auto& [id, call] : calls_) {
                                              if (call.member == member) leg = call.ports.leg;
                                            }
                                          }
                                          if (leg == 0 && dial_out_) {
                                            leg = dial_out_->leg_of_member(member);
                                          }
                                          relay_->set_bridge_port(leg, port);
                                        }));

    DialOutConfig out;
    out.rules = config_.dial_out;
    if (out.rules.ca_file.empty()) out.rules.ca_file = config_.ca_file;
    out.listen = config_.listen;
    out.advertise = config_.advertise;
    out.folder = config_.folder + "/sip-out";
    out.certificate_file = config_.certificate_file;
    out.key_file = config_.key_file;
    dial_out_ = std::make_unique<DialOut>(std::move(out), *relay_, *bridge_, book_);

    media::SignallingConfig sip;
    sip.bind_address = config_.listen;
    sip.bind_port = static_cast<std::uint16_t>(config_.sip_port);
    sip.user = "focus";
    sip.display_name = "Conclave service";
    sip.domain = config_.advertise;
    sip.user_agent = "Conclave-Service";
    sip.folder = config_.folder + "/sip";
    sip.ca_file = config_.ca_file;
    sip.certificate_file = config_.certificate_file;
    sip.key_file = config_.key_file;
    CONCLAVE_TRY(auto signalling,
                 media::create_signalling(sip, [this](const SignallingEvent& e) { on_event(e); }));
    port_ = signalling->port();
    const std::lock_guard lock(signalling_mutex_);
    signalling_ = std::move(signalling);
    return {};
  }

  int sip_port() const override { return port_; }

  void removed(const std::string& participant) override {
    if (const auto call = call_of(participant)) return hang_up(call->first);
    if (dial_out_) dial_out_->hang_up(participant);
  }

  void mute_changed(const std::string& participant, bool muted) override {
    const auto call = call_of(participant);
    if (call) return relay_->set_muted(call->second.ports.leg, muted);
    if (dial_out_) dial_out_->set_muted(participant, muted);
  }

  Status dial(const ConferenceBook::Participant& participant, const std::string& to) override {
    return dial_out_->call(participant, to);
  }
  void record(const std::string& conference, bool recording) override {
    bridge_->record(conference, recording);
  }

  bool check_sync(const std::string& participant) override {
    const auto call = call_of(participant);
    if (!call) return false;
    with_signalling([&](media::Signalling& s) { s.notify(call->first, "check-sync"); });
    return true;
  }

  BridgeStatus bridge_status() const override { return bridge_->status(); }

  std::optional<LegStats> leg_stats(const std::string& participant) const override {
    const auto call = call_of(participant);
    const auto leg = call        ? std::optional(call->second.ports.leg)
                     : dial_out_ ? dial_out_->leg_of(participant)
                                 : std::nullopt;
    if (!leg) return std::nullopt;
    return relay_->stats(*leg);
  }

 private:
  using Entry = std::pair<CallId, Call>;

  std::optional<Entry> call_of(const std::string& participant) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, call] : calls_) {
      if (call.participant == participant) return Entry{id, call};
    }
    return std::nullopt;
  }
  std::optional<Entry> call_of_leg(LegId leg) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, call] : calls_) {
      if (call.ports.leg == leg) return Entry{id, call};
    }
    return std::nullopt;
  }

  std::optional<std::string> called_of_leg(LegId leg) const {
    return dial_out_ ? dial_out_->participant_of(leg) : std::nullopt;
  }

  template <typename F>
  void with_signalling(F action) {
    const std::lock_guard lock(signalling_mutex_);
    if (signalling_) action(*signalling_);
  }
  void hang_up(CallId call) {
    with_signalling([call](media::Signalling& s) { s.hang_up(call); });
  }
  void reject(CallId call, int code, const std::string& reason, const std::string& why) {
    log::warning(kLog, "call refused", {{"code", code}, {"why", why}});
    with_signalling([&](media::Signalling& s) { s.reject(call, code, reason); });
  }

  void on_event(const SignallingEvent& event) {
    switch (event.kind) {
      case SignallingEvent::Kind::kIncoming:
        return incoming(event);
      case SignallingEvent::Kind::kEstablished:
        return established(event.call);
      case SignallingEvent::Kind::kUpdated:
        return updated(event);
      case SignallingEvent::Kind::kEnded:
        return ended(event);
      default:
        return;
    }
  }

  Result<media::Answer> answer_to(const media::SessionDescription& offer,
                                  const LegPorts& ports) const {
    media::LocalMedia local;
    local.address = config_.advertise;
    local.port = ports.phone;
    return media::make_answer(offer, local);
  }

  void incoming(const SignallingEvent& event) {
    const auto participant = authenticate_(header_of(event, protocol::kParticipantHeader));
    if (!participant) return reject(event.call, 403, "Forbidden", "no valid participant");
    if (!event.sdp) return reject(event.call, 488, "Not Acceptable Here", "no usable offer");
    const auto ports = relay_->open();
    if (!ports) return reject(event.call, 503, "Service Unavailable", ports.error().message);
    const auto answer = answer_to(*event.sdp, *ports);
    if (!answer) {
      relay_->close(ports->leg);
      return reject(event.call, 488, "Not Acceptable Here", answer.error().message);
    }
    if (const auto status = relay_->connect(ports->leg, answer->peer); !status) {
      relay_->close(ports->leg);
      return reject(event.call, 488, "Not Acceptable Here", status.error().message);
    }
    const auto previous = call_of(participant->id);
    Call call{*ports, participant->id, participant->id + "-" + std::to_string(event.call)};
    relay_->set_muted(ports->leg, participant->entry.muted);
    {
      const std::lock_guard lock(mutex_);
      if (previous) calls_[previous->first].participant.clear();
      calls_[event.call] = call;
    }
    // Muted between the look at the book and the entry above? Nobody else would tell the relay.
    if (const auto now = book_.find(participant->id)) {
      relay_->set_muted(ports->leg, now->entry.muted);
    }
    bridge_->add(call.member, participant->conference, ports->bridge);
    log::info(kLog, "call",
              {{"participant", participant->id},
               {"conference", participant->conference},
               {"from", event.peer_address}});
    with_signalling([&](media::Signalling& s) { s.answer(event.call, answer->description); });
    if (previous) hang_up(previous->first);
  }

  void established(CallId id) {
    std::string participant;
    {
      const std::lock_guard lock(mutex_);
      const auto it = calls_.find(id);
      if (it != calls_.end()) participant = it->second.participant;
    }
    if (!participant.empty() && !book_.arrived(participant)) hang_up(id);  // left in the meantime
  }

  void updated(const SignallingEvent& event) {
    std::optional<Call> call;
    {
      const std::lock_guard lock(mutex_);
      const auto it = calls_.find(event.call);
      if (it != calls_.end()) call = it->second;
    }
    if (!call || !event.sdp)
      return reject(event.call, 488, "Not Acceptable Here", "no usable offer");
    const auto answer = answer_to(*event.sdp, call->ports);
    if (!answer || !relay_->connect(call->ports.leg, answer->peer)) {
      return reject(event.call, 488, "Not Acceptable Here", "nothing in common");
    }
    with_signalling([&](media::Signalling& s) { s.answer(event.call, answer->description); });
  }

  void ended(const SignallingEvent& event) {
    Call call;
    {
      const std::lock_guard lock(mutex_);
      const auto it = calls_.find(event.call);
      if (it == calls_.end()) return;
      call = std::move(it->second);
      calls_.erase(it);
    }
    const LegStats stats = relay_->stats(call.ports.leg);
    relay_->close(call.ports.leg);
    bridge_->remove(call.member);
    log::info(kLog, "call ended",
              {{"participant", call.participant.empty() ? "replaced" : call.participant},
               {"code", event.code},
               {"by_peer", event.by_peer},
               {"received", static_cast<unsigned long>(stats.from_phone)},
               {"lost", static_cast<unsigned long>(stats.lost)},
               {"sent", static_cast<unsigned long>(stats.to_phone)}});
    if (!call.participant.empty()) book_.remove(call.participant);
  }

  const FocusConfig config_;
  const Authenticate authenticate_;
  ConferenceBook& book_;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::map<CallId, Call> calls_;
  std::mutex signalling_mutex_;
  std::unique_ptr<Relay> relay_;
  std::unique_ptr<Bridge> bridge_;
  std::unique_ptr<DialOut> dial_out_;
  std::unique_ptr<media::Signalling> signalling_;
};

}  // namespace

Result<std::unique_ptr<Focus>> Focus::start(const FocusConfig& config, Authenticate authenticate,
                                            ConferenceBook& book) {
  auto focus = std::make_unique<SipFocus>(config, std::move(authenticate), book);
  CONCLAVE_CHECK_STATUS(focus->run());
  return std::unique_ptr<Focus>(std::move(focus));
}

}  // namespace conclave::service
