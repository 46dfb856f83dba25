// SPDX-License-Identifier: Apache-2.0
#include "media/opus/opus_codec.h"

#include <opus.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace conclave::media {
namespace {

bool known_rate(int rate) { return rate == 48000 || rate == 16000; }

Error opus_error(const char* what, int code) {
  return Error{std::string(what) + ": " + opus_strerror(code)};
}

}  // namespace

SpeechEncoder::SpeechEncoder(OpusEncoder* encoder, int sample_rate)
    : encoder_(encoder),
      sample_rate_(sample_rate),
      clean_(std::make_unique<float[]>(static_cast<std::size_t>(sample_rate) / 50)) {}

SpeechEncoder::~SpeechEncoder() { opus_encoder_destroy(encoder_); }

Result<std::unique_ptr<SpeechEncoder>> SpeechEncoder::create(const SpeechEncoderConfig& config) {
  if (!known_rate(config.sample_rate)) return Error{"Opus is used at 48000 or 16000 Hz"};
  if (config.bitrate < 6000 || config.bitrate > 256000) {
    return Error{"the Opus bit rate must be 6000 to 256000 bit/s"};
  }
  if (config.complexity < 0 || config.complexity > 10) {
    return Error{"the Opus complexity must be 0 to 10"};
  }
  int code = OPUS_OK;
  OpusEncoder* encoder = opus_encoder_create(config.sample_rate, 1, OPUS_APPLICATION_VOIP, &code);
  if (code != OPUS_OK) return opus_error("the Opus encoder could not be made", code);
  std::unique_ptr<SpeechEncoder> self(new SpeechEncoder(encoder, config.sample_rate));
  opus_encoder_ctl(encoder, OPUS_SET_COMPLEXITY(config.complexity));
  opus_encoder_ctl(encoder, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
  opus_encoder_ctl(encoder, OPUS_SET_VBR(1));
  opus_encoder_ctl(encoder, OPUS_SET_VBR_CONSTRAINT(1));
  opus_encoder_ctl(encoder, OPUS_SET_DTX(0));
  // In-band FEC is next to useless with 10 ms frames and takes bits from the speech.
  opus_encoder_ctl(encoder, OPUS_SET_INBAND_FEC(0));
  self->set_bitrate(config.bitrate);
  self->set_expected_loss(config.expected_loss_percent);
  return self;
}

std::size_t SpeechEncoder::encode(std::span<const float> pcm,
                                  std::span<std::uint8_t> packet) noexcept {
  const auto hop = static_cast<std::size_t>(sample_rate_ / 100);
  if (pcm.size() != hop && pcm.size() != 2 * hop) return 0;
  const float* in = pcm.data();
  if (!std::all_of(pcm.begin(), pcm.end(), [](float x) { return std::isfinite(x); })) {
    std::transform(pcm.begin(), pcm.end(), clean_.get(),
                   [](float x) { return std::isfinite(x) ? x : 0.0F; });
    in = clean_.get();
  }
  const int n = opus_encode_float(encoder_, in, static_cast<int>(pcm.size()), packet.data(),
                                  static_cast<opus_int32>(packet.size()));
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

void SpeechEncoder::set_bitrate(int bitrate) noexcept {
  opus_encoder_ctl(encoder_, OPUS_SET_BITRATE(std::clamp(bitrate, 6000, 256000)));
}
void SpeechEncoder::set_expected_loss(int percent) noexcept {
  opus_encoder_ctl(encoder_, OPUS_SET_PACKET_LOSS_PERC(std::clamp(percent, 0, 100)));
}
void SpeechEncoder::reset() noexcept { opus_encoder_ctl(encoder_, OPUS_RESET_STATE); }

int SpeechEncoder::lookahead() const noexcept {
  opus_int32 samples = 0;
  opus_encoder_ctl(encoder_, OPUS_GET_LOOKAHEAD(&samples));
  return samples;
}

SpeechDecoder::SpeechDecoder(OpusDecoder* decoder, int sample_rate)
    : decoder_(decoder), sample_rate_(sample_rate) {}

SpeechDecoder::~SpeechDecoder() { opus_decoder_destroy(decoder_); }

Result<std::unique_ptr<SpeechDecoder>> SpeechDecoder::create(int sample_rate) {
  if (!known_rate(sample_rate)) return Error{"Opus is used at 48000 or 16000 Hz"};
  int code = OPUS_OK;
  OpusDecoder* decoder = opus_decoder_create(sample_rate, 1, &code);
  if (code != OPUS_OK) return opus_error("the Opus decoder could not be made", code);
  return std::unique_ptr<SpeechDecoder>(new SpeechDecoder(decoder, sample_rate));
}

int SpeechDecoder::duration48(std::span<const std::uint8_t> packet) const noexcept {
  if (packet.empty()) return 0;
  const int samples =
      opus_packet_get_nb_samples(packet.data(), static_cast<opus_int32>(packet.size()), 48000);
  return samples > 0 && samples <= 5760 ? samples : 0;
}

int SpeechDecoder::decode(std::span<const std::uint8_t> packet, std::span<float> pcm) noexcept {
  if (packet.empty()) return 0;
  const int n = opus_decode_float(decoder_, packet.data(), static_cast<opus_int32>(packet.size()),
                                  pcm.data(), static_cast<int>(pcm.size()), 0);
  return std::max(n, 0);
}

int SpeechDecoder::conceal(std::span<float> pcm) noexcept {
  const int n =
      opus_decode_float(decoder_, nullptr, 0, pcm.data(), static_cast<int>(pcm.size()), 0);
  return std::max(n, 0);
}

void SpeechDecoder::reset() noexcept { opus_decoder_ctl(decoder_, OPUS_RESET_STATE); }

}  // namespace conclave::media
