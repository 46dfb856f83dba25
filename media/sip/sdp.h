// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "media/media_peer.h"
#include "media/srtp/srtp_key.h"

namespace conclave::media {

/// One a=crypto line (RFC 4568).
struct SdpCrypto {
  int tag = 1;
  SrtpKey key;
};

/// The first audio stream of an SDP body (RFC 8866), as far as a phone cares. All else in the body
/// is ignored; further m= lines are remembered so that an answer can refuse each of them.
struct SessionDescription {
  std::string address;          ///< media address: IPv4 or IPv6 literal
  std::uint16_t port = 0;       ///< RTP; 0: the stream is refused
  std::uint16_t rtcp_port = 0;  ///< a=rtcp (RFC 3605); 0: port + 1, or muxed
  bool rtcp_mux = true;         ///< a=rtcp-mux (RFC 5761)
  bool secure = false;          ///< RTP/SAVP instead of RTP/AVP
  bool feedback = false;        ///< RTP/AVPF or RTP/SAVPF: tolerated and mirrored, never offered
  int opus_payload_type = -1;   ///< 96..127; -1: no Opus there
  int event_payload_type = -1;  ///< telephone-event/48000; -1: none
  int ptime_ms = 0;             ///< a=ptime; 0: not said
  int max_average_bitrate = 0;  ///< fmtp maxaveragebitrate, bit/s; 0: not said
  bool in_band_fec = false;     ///< fmtp useinbandfec=1
  Direction direction = Direction::kSendRecv;
  std::vector<SdpCrypto> crypto;         ///< those with a suite known here, in order of preference
  std::uint64_t session_id = 0;          ///< o=; build_sdp writes what is here
  std::uint64_t session_version = 0;     ///< count up with each changed description of one session
  int audio_position = 0;                ///< how many of other_media come before the audio
  std::vector<std::string> other_media;  ///< further m= lines ("video 49170 RTP/AVP 31"), refused
                                         ///< by answers, never offered
};

/// What this end brings to a negotiation.
struct LocalMedia {
  std::string address;     ///< literal the peer can reach
  std::uint16_t port = 0;  ///< CallStream::local_port()
  int ptime_ms = 10;
  int max_average_bitrate = 64000;
  bool require_srtp =
      true;  ///< false also takes (and, with no suites, offers) plain RTP: loopback and labs
  std::vector<SrtpSuite> suites{SrtpSuite::kAeadAes256Gcm, SrtpSuite::kAesCm128HmacSha1_80};
  Direction direction = Direction::kSendRecv;
};

/// The text of a description, lines ended by CRLF. Holds secrets when it has crypto: never log it.
std::string build_sdp(const SessionDescription& description);

/// Parses outside data of any content and size safely. An error says in one sentence what is wrong:
/// empty or over 16 KiB, no audio stream, no usable address, broken numbers. Crypto lines with
/// unknown suites or parameters are left out, not an error. Any thread.
Result<SessionDescription> parse_sdp(std::string_view text);

/// An offer with fresh keys, one for each suite.
Result<SessionDescription> make_offer(const LocalMedia& local);

/// The answering side: picks the first offered suite that `local` allows, makes the own key, and
/// tells both the answer to send and the agreed peer. Errors: nothing in common (488).
struct Answer {
  SessionDescription description;
  MediaPeer peer;
};
Result<Answer> make_answer(const SessionDescription& offer, const LocalMedia& local);

/// The offering side: what the answer to our offer means. Refuses an answer that drops SRTP,
/// changes the suite's tag or refuses the stream.
Result<MediaPeer> accept_answer(const SessionDescription& offer, const SessionDescription& answer);

}  // namespace conclave::media
