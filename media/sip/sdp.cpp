// SPDX-License-Identifier: Apache-2.0
#include "media/sip/sdp.h"

#include <openssl/rand.h>

#include <algorithm>

namespace conclave::media {
namespace {

constexpr int kOpusType = 111;
constexpr int kEventType = 101;

std::string_view direction_name(Direction direction) {
  switch (direction) {
    case Direction::kSendRecv:
      return "sendrecv";
    case Direction::kSendOnly:
      return "sendonly";
    case Direction::kRecvOnly:
      return "recvonly";
    case Direction::kInactive:
      break;
  }
  return "inactive";
}

Direction make_direction(bool send, bool receive) {
  if (send) return receive ? Direction::kSendRecv : Direction::kSendOnly;
  return receive ? Direction::kRecvOnly : Direction::kInactive;
}

std::string network(const std::string& address) {
  return (address.find(':') == std::string::npos ? "IN IP4 " : "IN IP6 ") + address;
}

/// Packets of a length that we make and the peer asked for.
int send_ptime(int peers_wish, int ours) {
  if (peers_wish == 0) return ours;
  return peers_wish >= 20 ? 20 : 10;
}

Result<std::uint64_t> new_session_id() {
  std::uint64_t id = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&id), sizeof id) != 1) {
    return Error{"the random generator failed"};
  }
  return id >> 2;  // some peers read it as a signed number
}

MediaPeer peer_of(const SessionDescription& remote) {
  MediaPeer peer;
  peer.address = remote.address;
  peer.port = remote.port;
  peer.rtcp_mux = remote.rtcp_mux;
  peer.rtcp_port =
      remote.rtcp_port != 0 ? remote.rtcp_port : static_cast<std::uint16_t>(remote.port + 1);
  peer.send_payload_type = static_cast<std::uint8_t>(remote.opus_payload_type);
  peer.max_bitrate = remote.max_average_bitrate;
  return peer;
}

SessionDescription describe(const LocalMedia& local) {
  SessionDescription d;
  d.address = local.address;
  d.port = local.port;
  d.opus_payload_type = kOpusType;
  d.event_payload_type = kEventType;
  d.ptime_ms = local.ptime_ms;
  d.max_average_bitrate = local.max_average_bitrate;
  d.direction = local.direction;
  return d;
}

void append_refused(std::string& text, const std::string& media) {
  // "video 49170 RTP/AVP 31" becomes "video 0 RTP/AVP 31" (RFC 3264, section 6).
  const auto port = media.find(' ');
  const auto rest = port == std::string::npos ? port : media.find(' ', port + 1);
  if (rest == std::string::npos) return;
  text += "m=" + media.substr(0, port) + " 0" + media.substr(rest) + "\r\n";
}

void append_audio(std::string& text, const SessionDescription& d) {
  const std::string type = std::to_string(std::max(d.opus_payload_type, 0));
  text += "m=audio " + std::to_string(d.port) + (d.secure ? " RTP/SAVP" : " RTP/AVP") +
          (d.feedback ? "F " : " ") + type;
  if (d.event_payload_type >= 0) text += " " + std::to_string(d.event_payload_type);
  text += "\r\n";
  if (d.port == 0) return;
  text += "a=rtpmap:" + type + " opus/48000/2\r\na=fmtp:" + type +
          " minptime=10;useinbandfec=" + (d.in_band_fec ? "1" : "0");
  if (d.max_average_bitrate > 0) {
    text += ";maxaveragebitrate=" + std::to_string(d.max_average_bitrate);
  }
  text += "\r\n";
  if (d.event_payload_type >= 0) {
    const std::string event = std::to_string(d.event_payload_type);
    text += "a=rtpmap:" + event + " telephone-event/48000\r\na=fmtp:" + event + " 0-15\r\n";
  }
  if (d.ptime_ms > 0) text += "a=ptime:" + std::to_string(d.ptime_ms) + "\r\na=maxptime:60\r\n";
  if (d.rtcp_mux) text += "a=rtcp-mux\r\n";
  if (d.rtcp_port != 0) text += "a=rtcp:" + std::to_string(d.rtcp_port) + "\r\n";
  for (const auto& crypto : d.crypto) {
    text += "a=crypto:" + std::to_string(crypto.tag) + " " +
            std::string(suite_name(crypto.key.suite())) + " " + crypto.key.inline_text() + "\r\n";
  }
  text += "a=" + std::string(direction_name(d.direction)) + "\r\n";
}

}  // namespace

std::string build_sdp(const SessionDescription& d) {
  const std::string address = network(d.address.empty() ? "0.0.0.0" : d.address);
  std::string text = "v=0\r\no=- " + std::to_string(d.session_id) + " " +
                     std::to_string(d.session_version) + " " + address + "\r\ns=-\r\nc=" + address +
                     "\r\nt=0 0\r\n";
  int position = 0;
  for (const auto& media : d.other_media) {
    if (position++ == d.audio_position) append_audio(text, d);
    append_refused(text, media);
  }
  if (position <= d.audio_position) append_audio(text, d);
  return text;
}

Result<SessionDescription> make_offer(const LocalMedia& local) {
  if (local.require_srtp && local.suites.empty()) {
    return Error{"SRTP is required, but no suite is allowed"};
  }
  SessionDescription offer = describe(local);
  CONCLAVE_TRY(offer.session_id, new_session_id());
  offer.session_version = 1;
  offer.secure = !local.suites.empty();
  for (const SrtpSuite suite : local.suites) {
    CONCLAVE_TRY(auto key, SrtpKey::generate(suite));
    offer.crypto.push_back({static_cast<int>(offer.crypto.size()) + 1, key});
  }
  return offer;
}

Result<Answer> make_answer(const SessionDescription& offer, const LocalMedia& local) {
  if (offer.port == 0) return Error{"the offer has no active audio stream"};
  if (offer.opus_payload_type < 0) return Error{"the offer has no Opus (opus/48000/2)"};
  if (!offer.secure && local.require_srtp) return Error{"the offer has no SRTP, which is required"};

  Answer answer{describe(local), peer_of(offer)};
  auto& d = answer.description;
  CONCLAVE_TRY(d.session_id, new_session_id());
  d.session_version = 1;
  d.secure = offer.secure;
  d.feedback = offer.feedback;
  d.opus_payload_type = offer.opus_payload_type;
  d.event_payload_type = offer.event_payload_type;
  d.rtcp_mux = offer.rtcp_mux;
  d.audio_position = offer.audio_position;
  d.other_media = offer.other_media;
  d.direction = make_direction(sends(local.direction) && receives(offer.direction),
                               receives(local.direction) && sends(offer.direction));
  auto& peer = answer.peer;
  peer.receive_payload_type = static_cast<std::uint8_t>(offer.opus_payload_type);
  peer.direction = d.direction;
  peer.ptime_ms = send_ptime(offer.ptime_ms, local.ptime_ms);
  if (!offer.secure) return answer;

  for (const auto& crypto : offer.crypto) {
    if (std::find(local.suites.begin(), local.suites.end(), crypto.key.suite()) ==
        local.suites.end()) {
      continue;
    }
    CONCLAVE_TRY(auto key, SrtpKey::generate(crypto.key.suite()));
    d.crypto.push_back({crypto.tag, key});
    peer.local_key = key;
    peer.remote_key = crypto.key;
    return answer;
  }
  return Error{"no SRTP suite in common"};
}

Result<MediaPeer> accept_answer(const SessionDescription& offer, const SessionDescription& answer) {
  if (answer.port == 0) return Error{"the peer refused the audio stream"};
  if (answer.opus_payload_type < 0) return Error{"the answer has no Opus (opus/48000/2)"};
  if (answer.secure != offer.secure) return Error{"the answer does not keep to the offered SRTP"};
  MediaPeer peer = peer_of(answer);
  peer.rtcp_mux = offer.rtcp_mux && answer.rtcp_mux;
  peer.receive_payload_type = static_cast<std::uint8_t>(offer.opus_payload_type);
  peer.ptime_ms = send_ptime(answer.ptime_ms, offer.ptime_ms);
  peer.direction = make_direction(sends(offer.direction) && receives(answer.direction),
                                  receives(offer.direction) && sends(answer.direction));
  if (!offer.secure) return peer;

  if (answer.crypto.empty()) return Error{"the answer has no usable SRTP key"};
  const auto& chosen = answer.crypto.front();
  const auto it = std::find_if(offer.crypto.begin(), offer.crypto.end(), [&](const SdpCrypto& c) {
    return c.tag == chosen.tag && c.key.suite() == chosen.key.suite();
  });
  if (it == offer.crypto.end()) return Error{"the answer chose an SRTP suite that was not offered"};
  peer.local_key = it->key;
  peer.remote_key = chosen.key;
  return peer;
}

}  // namespace conclave::media
