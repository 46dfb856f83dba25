// SPDX-License-Identifier: Apache-2.0
#include "apps/load/light_call.h"

#include <array>
#include <cmath>
#include <numbers>

#include "media/opus/opus_codec.h"
#include "media/rtp/rtp_packet.h"

namespace conclave::apps {
namespace {

constexpr int kRate = 48000;
constexpr double kLoopS = 4.0;
constexpr double kTalkS = 2.6;  // of each loop
constexpr std::size_t kBufferBytes = media::kMaxDatagramBytes + media::SrtpSession::kTrailerBytes;

}  // namespace

Result<std::unique_ptr<LightSpeech>> LightSpeech::make(int ptime_ms) {
  auto out = std::make_unique<LightSpeech>();
  out->ptime_ms = ptime_ms;
  const auto samples = static_cast<std::size_t>(kRate / 1000 * ptime_ms);
  const auto packets = static_cast<std::size_t>(kLoopS * 1000.0 / ptime_ms);
  for (const bool talking : {true, false}) {
    CONCLAVE_TRY(const auto encoder, media::SpeechEncoder::create({}));
    std::vector<float> pcm(samples);
    std::array<std::uint8_t, 1276> packet{};
    for (std::size_t p = 0; p < packets; ++p) {
      for (std::size_t i = 0; i < samples; ++i) {
        const double t = static_cast<double>(p * samples + i) / kRate;
        // Harmonics of a voice with syllables, four a second.
        double v = 0;
        for (int h = 1; h <= 12; ++h) {
          v += std::sin(2.0 * std::numbers::pi * 120.0 * h * t) / static_cast<double>(h);
        }
        const double syllable = 0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * 4.0 * t);
        pcm[i] = talking && t < kTalkS ? static_cast<float>(0.1 * v * syllable) : 0.0F;
      }
      const std::size_t size = encoder->encode(pcm, packet);
      if (size == 0) return Error{"cannot encode the load's speech"};
      auto& list = talking ? out->talking : out->silent;
      list.emplace_back(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
    }
  }
  return out;
}

LightCall::LightCall(const LightSpeech& speech, bool talks, unsigned seed)
    : speech_(speech),
      talks_(talks),
      // Not all talk at the same moment.
      position_(seed * 37 % speech.talking.size()),
      sequence_(static_cast<std::uint16_t>(seed * 7919)),
      timestamp_(seed * 104729),
      ssrc_(0x10000000U + seed) {}

Result<std::unique_ptr<LightCall>> LightCall::create(const LightSpeech& speech, bool talks,
                                                     unsigned seed) {
  std::unique_ptr<LightCall> call(new LightCall(speech, talks, seed));
  CONCLAVE_TRY(call->socket_, media::UdpSocket::bind("127.0.0.1", 0));
  return call;
}

Status LightCall::connect(const media::MediaPeer& peer) {
  CONCLAVE_TRY(peer_, media::UdpAddress::parse(peer.address, peer.port));
  payload_type_ = peer.send_payload_type;
  if (!peer.local_key || !peer.remote_key) return Error{"the service agreed on no SRTP"};
  CONCLAVE_TRY(srtp_, media::SrtpSession::create(*peer.local_key, *peer.remote_key));
  return {};
}

void LightCall::send() {
  const auto& packets = talks_ ? speech_.talking : speech_.silent;
  const auto& payload = packets[position_];
  position_ = (position_ + 1) % packets.size();
  std::array<std::uint8_t, kBufferBytes> buffer;
  media::RtpHeader header;
  header.payload_type = payload_type_;
  header.sequence = sequence_++;
  header.timestamp = timestamp_;
  header.ssrc = ssrc_;
  timestamp_ += static_cast<std::uint32_t>(kRate / 1000 * speech_.ptime_ms);
  const std::size_t plain = media::write_rtp(header, payload, buffer);
  const std::size_t size = srtp_->protect_rtp(buffer, plain);
  if (size > 0 && socket_->send(std::span(buffer.data(), size), peer_) && measuring_) ++sent_;
}

void LightCall::receive(std::int64_t now_ns) {
  std::array<std::uint8_t, kBufferBytes> buffer;
  media::UdpAddress from;
  for (;;) {
    const auto got = socket_->receive(buffer, from);
    if (got < 0) return;
    auto size = static_cast<std::size_t>(got);
    if (size > buffer.size()) continue;
    if (media::looks_like_rtcp(std::span(buffer.data(), size))) continue;
    if (srtp_->unprotect_rtp(buffer, size) != media::SrtpSession::Outcome::kOk) {
      ++rejected_;
      continue;
    }
    const auto packet = media::parse_rtp(std::span(buffer.data(), size));
    if (!packet) continue;
    statistics_.update(packet->header.ssrc, packet->header.sequence, packet->header.timestamp,
                       now_ns);
    if (first_ns_ == 0) first_ns_ = now_ns;
    if (measuring_) ++received_;
  }
}

LightCall::Figures LightCall::figures() const {
  return {first_ns_, sent_, received_, statistics_.lost(), rejected_, statistics_.jitter_ms()};
}

}  // namespace conclave::apps
