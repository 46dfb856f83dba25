// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "media/jitter/delay_estimator.h"
#include "media/jitter/time_scale.h"
#include "media/opus/opus_codec.h"
#include "media/rtp/rtp_packet.h"

namespace conclave::media {

struct JitterConfig {
  int min_delay_ms = 0;    ///< least target beyond one packet, 0..500
  int max_delay_ms = 400;  ///< 40..1000, above min_delay_ms
};

struct JitterMetrics {
  std::uint64_t concealed_ms = 0;    ///< made up because packets were missing or late
  std::uint64_t concealments = 0;    ///< how often that began
  std::uint64_t accelerated_ms = 0;  ///< taken out by time scaling
  std::uint64_t expanded_ms = 0;     ///< put in by time scaling
  std::uint64_t late = 0;            ///< packets that came after their place was played
  std::uint64_t duplicate = 0;
  std::uint64_t reordered = 0;  ///< came after a later one, yet in time
  std::uint64_t malformed = 0;  ///< no valid packet of the codec
  std::uint64_t resets = 0;     ///< the stream began anew
  double buffer_ms = 0;         ///< sound waiting: packets and decoded
  double delay_ms = 0;          ///< what playing waits beyond the fastest packet
  double target_ms = 0;         ///< what it should wait
  double drift_ppm = 0;
};

/// Adaptive jitter buffer: packets of any duration in, frames of 10 ms out, when they are asked
/// for.
///
/// Playing waits behind the fastest packet by a delay that covers 99 % of the packets
/// (DelayEstimator). The delay is kept there by taking out or putting in pitch periods (TimeScale),
/// preferably in pauses; that also absorbs the difference between the sender's clock and the clock
/// of whoever pulls. Missing packets are concealed by the codec; if the network only held them up,
/// they are played late and the delay has grown, otherwise they are skipped.
///
/// One thread. Times are passed in, so that tests need not wait. No allocation after create().
class JitterBuffer {
 public:
  enum class Pulled : std::uint8_t {
    kSound,
    kConcealed,  ///< at least partly made up
    kSilence,    ///< nothing to play yet, or not any more
  };

  /// The decoder must outlive the buffer.
  static Result<std::unique_ptr<JitterBuffer>> create(const JitterConfig& config,
                                                      PacketDecoder& decoder);

  /// Forgets packets and delays: the stream begins anew (another SSRC, a jump of its numbers).
  void restart() noexcept;
  void insert(const RtpHeader& header, std::span<const std::uint8_t> payload,
              std::int64_t arrival_ns) noexcept;
  /// Fills 10 ms at the decoder's rate.
  Pulled pull(std::span<float> out, std::int64_t now_ns) noexcept;
  JitterMetrics metrics() const noexcept;

 private:
  static constexpr std::size_t kSlots = 256;
  static constexpr std::size_t kMaxPayload = 1400;
  static constexpr int kHop48 = 480;
  static constexpr int kGiveUpHops = 50;  // half a second of concealment, then silence

  struct Slot {
    std::int64_t sequence = -1;  // unwrapped; -1: free
    std::int64_t timestamp = 0;  // unwrapped
    int duration = 0;            // ticks of 48 kHz
    std::uint16_t size = 0;
    std::array<std::uint8_t, kMaxPayload> data{};
  };
  enum class State : std::uint8_t { kIdle, kFilling, kPlaying };

  JitterBuffer(const JitterConfig& config, PacketDecoder& decoder);
  Slot& slot(std::int64_t sequence) { return slots_[static_cast<std::size_t>(sequence) % kSlots]; }
  Slot* first_waiting() noexcept;
  void clear_slots() noexcept;
  bool start_playing(std::int64_t now_ns) noexcept;
  /// Appends sound to the fifo: the next packet if it is there. False when it is not.
  bool fetch_packet() noexcept;
  void conceal() noexcept;
  void settle_concealment(std::int64_t sequence) noexcept;
  void adapt(std::int64_t now_ns) noexcept;
  bool shorten(double excess_ms, double waste_ms) noexcept;
  bool lengthen(double missing_ms, double waste_ms) noexcept;
  bool alike(const TimeScale::Match& match, double off_ms) const noexcept;
  double waste_ms() const noexcept;
  std::span<float> fifo() { return std::span(buffer_).subspan(static_cast<std::size_t>(history_)); }
  double target_ms() const noexcept;
  double current_delay_ms(std::int64_t now_ns) const noexcept;
  double to_ms(int samples) const { return samples * 1000.0 / rate_; }

  const JitterConfig config_;
  PacketDecoder& decoder_;
  const int rate_;
  const int hop_;
  const TimeScale scale_;
  DelayEstimator estimator_;
  State state_ = State::kIdle;

  std::vector<Slot> slots_;
  bool have_any_ = false;
  std::int64_t newest_sequence_ = 0;  // unwrapped
  std::int64_t newest_timestamp_ = 0;
  std::array<std::int64_t, 1024> seen_{};  // which sequence number was here last

  std::int64_t next_sequence_ = 0;
  std::int64_t decoded_end_ = 0;  // timestamp behind the fifo's last real sample
  int concealing_ticks_ = 0;      // made up since then
  int concealing_hops_ = 0;

  // What was played last, for time scaling to repeat, then what comes.
  std::vector<float> buffer_;
  const int history_;
  int fifo_length_ = 0;
  int last_duration_ = kHop48;
  double smooth_delay_ms_ = 0;
  bool have_smooth_ = false;
  double wanting_ms_ = 0;       // for how long a change has been wished and not found a place
  double level_ = 0;            // running RMS of the sound
  int since_concealed_ = 1000;  // hops
  double accelerated_ = 0, expanded_ = 0;  // ms
  std::uint64_t concealed_ticks_ = 0;
  JitterMetrics counts_;
};

}  // namespace conclave::media
