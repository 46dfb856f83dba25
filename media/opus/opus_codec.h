// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"

struct OpusEncoder;
struct OpusDecoder;

namespace conclave::media {

struct SpeechEncoderConfig {
  int sample_rate = 48000;  ///< 48000 or 16000
  int bitrate = 48000;      ///< bit/s, 6000..256000
  int complexity = 5;       ///< 0..10; 10 costs about twice as much as 5
  int expected_loss_percent = 0;
};

/// Opus (RFC 6716), mono, tuned for speech: VoIP application, constrained variable bit rate, no DTX
/// (a conference's far end wants to hear the room). Look-ahead 6.5 ms. create() allocates; encode
/// does not, nor does it make system calls. One thread.
class SpeechEncoder {
 public:
  static Result<std::unique_ptr<SpeechEncoder>> create(const SpeechEncoderConfig& config);
  ~SpeechEncoder();
  SpeechEncoder(const SpeechEncoder&) = delete;
  SpeechEncoder& operator=(const SpeechEncoder&) = delete;

  /// `pcm` is 10 or 20 ms. Returns the packet's size, 0 on failure (wrong length, no room). Samples
  /// that are not finite count as silence.
  std::size_t encode(std::span<const float> pcm, std::span<std::uint8_t> packet) noexcept;
  void set_bitrate(int bitrate) noexcept;
  void set_expected_loss(int percent) noexcept;
  void reset() noexcept;
  /// Samples at the config's rate.
  int lookahead() const noexcept;

 private:
  explicit SpeechEncoder(OpusEncoder* encoder, int sample_rate);
  OpusEncoder* encoder_;
  int sample_rate_;
  std::unique_ptr<float[]> clean_;  // for input that has to be repaired
};

/// What a jitter buffer needs of a codec. Sizes are in samples at the decoder's own rate.
class PacketDecoder {
 public:
  virtual ~PacketDecoder() = default;
  /// Duration of a packet in ticks of 48 kHz; 0 when it is no valid packet.
  virtual int duration48(std::span<const std::uint8_t> packet) const noexcept = 0;
  /// Returns how many samples were written; 0 when the packet is broken.
  virtual int decode(std::span<const std::uint8_t> packet, std::span<float> pcm) noexcept = 0;
  /// Makes up pcm.size() samples, a multiple of 2.5 ms up to 20 ms, to follow what was decoded.
  virtual int conceal(std::span<float> pcm) noexcept = 0;
  virtual void reset() noexcept = 0;
  virtual int sample_rate() const noexcept = 0;
};

/// Opus to mono; packets of any mode, 2.5 to 120 ms; hostile packets are refused by libopus.
class SpeechDecoder final : public PacketDecoder {
 public:
  /// 48000 or 16000.
  static Result<std::unique_ptr<SpeechDecoder>> create(int sample_rate);
  ~SpeechDecoder() override;
  SpeechDecoder(const SpeechDecoder&) = delete;
  SpeechDecoder& operator=(const SpeechDecoder&) = delete;

  int duration48(std::span<const std::uint8_t> packet) const noexcept override;
  int decode(std::span<const std::uint8_t> packet, std::span<float> pcm) noexcept override;
  int conceal(std::span<float> pcm) noexcept override;
  void reset() noexcept override;
  int sample_rate() const noexcept override { return sample_rate_; }

 private:
  SpeechDecoder(OpusDecoder* decoder, int sample_rate);
  OpusDecoder* decoder_;
  int sample_rate_;
};

}  // namespace conclave::media
