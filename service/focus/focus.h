// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "service/conference_book.h"
#include "service/focus/dial_out.h"
#include "service/focus/relay.h"
#include "service/janus/bridge.h"

namespace conclave::service {

struct FocusConfig {
  std::string listen = "127.0.0.1";     ///< literal to bind, SIP and media
  std::string advertise = "127.0.0.1";  ///< literal that phones reach, for the SDP
  int sip_port = 0;                     ///< 0: a free one
  std::string certificate_file{};
  std::string key_file{};
  std::string ca_file{};
  std::string folder{};  ///< ours alone, for SIP's and Janus' own files
  int prebuffer = 1;     ///< see BridgeConfig
  int silent_after_s = 20;
  DialOutRules dial_out{};
  std::string recordings{};  ///< see BridgeConfig
};

/// Where calls arrive: takes INVITEs over TLS, proves whose they are by X-Conclave-Participant,
/// agrees on SRTP, connects the relay and the mixer, and tells the book who is there. Rejections:
/// 403 without valid credentials, 488 without common media, 503 without resources. A second INVITE
/// of the same participant replaces the first call. A phone that vanishes without BYE is dropped
/// once neither sound nor RTCP has come for FocusConfig::silent_after_s.
class Focus {
 public:
  using Authenticate =
      std::function<std::optional<ConferenceBook::Participant>(std::string_view header)>;
  virtual ~Focus() = default;  ///< hangs up, ends the mixer

  static Result<std::unique_ptr<Focus>> start(const FocusConfig& config, Authenticate authenticate,
                                              ConferenceBook& book);

  virtual int sip_port() const = 0;
  /// The book removed or (un)muted a participant. Any thread; at once.
  virtual void removed(const std::string& participant) = 0;
  virtual void mute_changed(const std::string& participant, bool muted) = 0;
  /// SIP NOTIFY "Event: check-sync" within the participant's call. False: it has none.
  virtual bool check_sync(const std::string& participant) = 0;
  /// Calls somebody who stands in the book already; see DialOut.
  virtual Status dial(const ConferenceBook::Participant& participant, const std::string& to) = 0;
  /// Begins or ends the recording of a conference; the book is told when it is so.
  virtual void record(const std::string& conference, bool recording) = 0;
  virtual BridgeStatus bridge_status() const = 0;
  virtual std::optional<LegStats> leg_stats(const std::string& participant) const = 0;
};

}  // namespace conclave::service
