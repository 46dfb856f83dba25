// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "apps/far_end/rest_client.h"
#include "base/audio_frame.h"
#include "base/result.h"
#include "media/call_stream.h"
#include "media/sip/signalling.h"
#include "service/protocol/messages.h"

namespace conclave::apps {

struct ParticipantConfig {
  std::string rest{};     ///< address of call control
  std::string ca_file{};  ///< vouches for REST and SIP
  std::string passcode{};
  std::string email{};
  std::string name = "Far end";
  std::string serial = "far-end";
};

/// One participant of a conference, by the same means as a phone: REST join, SIP over TLS, Opus
/// over SRTP. Sound goes in and comes out through the two rings, 10 ms of 48 kHz at a time; the
/// caller keeps the pace. Functions: one thread.
class Participant {
 public:
  ~Participant();  ///< hangs up
  /// Joins and waits until sound can flow.
  static Result<std::unique_ptr<Participant>> join(const ParticipantConfig& config);

  AudioFrameRing& uplink() { return uplink_; }
  AudioFrameRing& downlink() { return downlink_; }
  media::CallStats stats() const { return stream_->stats(); }
  /// The service (or the network) has ended the call; why, in `reason`.
  bool ended(std::string* reason = nullptr) const;
  void leave();
  RestClient& rest() { return rest_; }
  const service::protocol::JoinResponse& place() const { return place_; }

 private:
  explicit Participant(const ParticipantConfig& config);
  Status connect(const ParticipantConfig& config);
  void on_event(const media::SignallingEvent& event);

  RestClient rest_;
  service::protocol::JoinResponse place_{};
  AudioFrameRing uplink_{16};
  AudioFrameRing downlink_{16};
  std::string folder_;  ///< SIP's own files
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool answered_ = false;
  bool ended_ = false;
  std::string reason_;
  std::optional<media::SessionDescription> answer_;
  media::CallId call_ = 0;
  std::unique_ptr<media::CallStream> stream_;
  std::unique_ptr<media::Signalling> signalling_;
};

}  // namespace conclave::apps
