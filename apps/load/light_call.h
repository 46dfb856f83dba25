// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "media/media_peer.h"
#include "media/rtp/receiver_statistics.h"
#include "media/srtp/srtp_session.h"
#include "media/udp_socket.h"

namespace conclave::apps {

/// A few seconds of Opus, encoded once: something like speech, and silence.
struct LightSpeech {
  int ptime_ms = 20;
  std::vector<std::vector<std::uint8_t>> talking{};
  std::vector<std::vector<std::uint8_t>> silent{};
  static Result<std::unique_ptr<LightSpeech>> make(int ptime_ms);
};

/// The sound of one phone without acoustics: sends the packets of a LightSpeech by SRTP and counts
/// what comes. After connect() one thread for send and receive; the figures any.
class LightCall {
 public:
  static Result<std::unique_ptr<LightCall>> create(const LightSpeech& speech, bool talks,
                                                   unsigned seed);
  std::uint16_t port() const { return socket_->port(); }
  Status connect(const media::MediaPeer& peer);
  void send();  ///< one packet
  void receive(std::int64_t now_ns);

  void begin_measuring() { measuring_ = true; }
  void end_measuring() { measuring_ = false; }
  struct Figures {
    std::int64_t first_ns = 0;             ///< monotonic, first packet of the mix; 0: none
    std::uint64_t sent = 0, received = 0;  ///< while measuring
    std::uint64_t lost = 0, rejected = 0;  ///< over the whole call
    double jitter_ms = 0;
  };
  Figures figures() const;

 private:
  LightCall(const LightSpeech& speech, bool talks, unsigned seed);

  const LightSpeech& speech_;
  const bool talks_;
  std::size_t position_;
  std::unique_ptr<media::UdpSocket> socket_;
  media::UdpAddress peer_{};
  std::uint8_t payload_type_ = 111;
  std::unique_ptr<media::SrtpSession> srtp_;
  std::uint16_t sequence_;
  std::uint32_t timestamp_;
  const std::uint32_t ssrc_;
  media::ReceiverStatistics statistics_{};
  std::atomic<bool> measuring_{false};
  std::int64_t first_ns_ = 0;
  std::uint64_t sent_ = 0, received_ = 0, rejected_ = 0;
};

}  // namespace conclave::apps
