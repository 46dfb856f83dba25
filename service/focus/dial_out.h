// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "media/sip/signalling.h"
#include "service/conference_book.h"
#include "service/focus/relay.h"
#include "service/janus/bridge.h"

namespace conclave::service {

/// Whom the service may call, and how.
struct DialOutRules {
  std::string gateway{};   ///< "sip:host[:port][;transport=…]" for numbers; empty: no numbers
  bool addresses = false;  ///< SIP addresses may be called straight
  std::string user{};      ///< towards the gateway; empty: "conclave"
  std::string password{};
  std::string ca_file{};  ///< vouches for who is called over TLS
  int answer_within_s = 45;
};

struct DialOutConfig {
  DialOutRules rules{};
  std::string listen{};     ///< literal to bind
  std::string advertise{};  ///< literal for the SDP
  std::string folder{};     ///< ours alone
  std::string certificate_file{};
  std::string key_file{};
};

/// The SIP address that a target (valid_dial_target()) stands for. CC-DIALOUT-DENIED where the
/// rules have no way for it.
Result<std::string> dial_address(const DialOutRules& rules, const std::string& to);

/// Calls that the service makes: a SIP user agent that offers Opus, by SRTP over TLS and by plain
/// RTP over UDP and TCP (keys in the clear would protect nothing). Who answers is in the mix like a
/// phone; the book is told the progress. Failures: CC-DIALOUT-CCS when SIP or media cannot be had
/// (no route, no answer of the network, nothing in common), CC-DIALOUT when the callee refused, was
/// busy or did not answer; CC-OPERATOR for operators. Any thread.
class DialOut {
 public:
  DialOut(DialOutConfig config, Relay& relay, Bridge& bridge, ConferenceBook& book);
  ~DialOut() { close(); }
  /// Hangs up all; no event comes any more.
  void close();

  /// Calls somebody who stands in the book already; returns at once. Errors: see above.
  Status call(const ConferenceBook::Participant& participant, const std::string& to);

  void hang_up(const std::string& participant);
  void set_muted(const std::string& participant, bool muted);
  std::optional<std::string> participant_of(LegId leg) const;
  /// 0: not one of ours.
  LegId leg_of_member(const std::string& member) const;
  std::optional<LegId> leg_of(const std::string& participant) const;

 private:
  struct Call {
    LegPorts ports{};
    std::string conference{};
    std::string member{};
    media::CallId sip = 0;
    std::size_t agent = 0;
    media::SessionDescription offer{};
    bool connected = false;
    protocol::Kind kind = protocol::Kind::kCalled;
  };
  static constexpr std::size_t kTransports = 3;

  Result<media::Signalling*> agent_of(media::SipTransport transport);
  void on_event(std::size_t agent, const media::SignallingEvent& event);
  void answered(const std::string& participant, const media::SignallingEvent& event);
  void ended(const std::string& participant, const media::SignallingEvent& event);
  void give_up(const std::string& participant, std::string_view error);

  const DialOutConfig config_;
  Relay& relay_;
  Bridge& bridge_;
  ConferenceBook& book_;
  mutable std::mutex mutex_;
  std::map<std::string, Call> calls_;  ///< by participant
  std::mutex agents_mutex_;            ///< taken before mutex_, where both are
  std::unique_ptr<media::Signalling> agents_[kTransports];
  bool closing_ = false;
};

}  // namespace conclave::service
