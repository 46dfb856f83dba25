// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "media/srtp/srtp_key.h"

namespace conclave::media {

/// Which way sound flows, from the speaker's own side (RFC 8866, a=sendrecv and its kin).
enum class Direction : std::uint8_t { kSendRecv, kSendOnly, kRecvOnly, kInactive };

inline bool sends(Direction d) { return d == Direction::kSendRecv || d == Direction::kSendOnly; }
inline bool receives(Direction d) { return d == Direction::kSendRecv || d == Direction::kRecvOnly; }

/// What two ends have agreed on, from the local side: the outcome of offer and answer, and all that
/// a CallStream needs to know about the other end.
struct MediaPeer {
  std::string address;          ///< IPv4 or IPv6 literal
  std::uint16_t port = 0;       ///< RTP, and RTCP too when rtcp_mux
  std::uint16_t rtcp_port = 0;  ///< used when !rtcp_mux
  bool rtcp_mux = true;
  std::uint8_t send_payload_type = 111;        ///< Opus as the peer numbers it
  std::uint8_t receive_payload_type = 111;     ///< Opus as we numbered it
  int ptime_ms = 10;                           ///< packets we send: 10 or 20
  int max_bitrate = 0;                         ///< bit/s the peer can take; 0: not said
  Direction direction = Direction::kSendRecv;  ///< ours
  std::optional<SrtpKey> local_key;            ///< protects what we send; both or none
  std::optional<SrtpKey> remote_key;           ///< opens what we receive
};

}  // namespace conclave::media
