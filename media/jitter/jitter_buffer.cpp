// SPDX-License-Identifier: Apache-2.0
#include "media/jitter/jitter_buffer.h"

#include <algorithm>
#include <cmath>

namespace conclave::media {
namespace {

constexpr double kMarginMs = 1.0;      // for the puller's own unpunctuality
constexpr double kTooMuchMs = 10.5;    // above the target: a hop less will do
constexpr double kTooLittleMs = 2.0;   // below it: a hop more is needed
constexpr double kPauseLevel = 0.003;  // RMS, -50 dBFS
constexpr std::int64_t kFarTicks = 48000 * 5;

}  // namespace

JitterBuffer::JitterBuffer(const JitterConfig& config, PacketDecoder& decoder)
    : config_(config),
      decoder_(decoder),
      rate_(decoder.sample_rate()),
      hop_(rate_ / 100),
      scale_{rate_},
      slots_(kSlots),
      // A packet of 120 ms on top of history, what is left and what time scaling puts in.
      buffer_(static_cast<std::size_t>(rate_ / 1000 * 220)),
      history_(scale_.longest()) {
  seen_.fill(-1);
}

Result<std::unique_ptr<JitterBuffer>> JitterBuffer::create(const JitterConfig& config,
                                                           PacketDecoder& decoder) {
  if (config.min_delay_ms < 0 || config.min_delay_ms > 500) {
    return Error{"the jitter buffer's least delay must be 0 to 500 ms"};
  }
  if (config.max_delay_ms < 40 || config.max_delay_ms > 1000 ||
      config.max_delay_ms <= config.min_delay_ms) {
    return Error{"the jitter buffer's largest delay must be 40 to 1000 ms and above the least"};
  }
  return std::unique_ptr<JitterBuffer>(new JitterBuffer(config, decoder));
}

void JitterBuffer::clear_slots() noexcept {
  for (Slot& s : slots_) s.sequence = -1;
}

void JitterBuffer::restart() noexcept {
  clear_slots();
  seen_.fill(-1);
  estimator_.reset();
  have_any_ = false;
  state_ = State::kIdle;
  fifo_length_ = 0;
  concealing_ticks_ = 0;
  concealing_hops_ = 0;
  have_smooth_ = false;
  decoder_.reset();
  ++counts_.resets;
}

void JitterBuffer::insert(const RtpHeader& header, std::span<const std::uint8_t> payload,
                          std::int64_t arrival_ns) noexcept {
  const int duration = payload.size() <= kMaxPayload ? decoder_.duration48(payload) : 0;
  if (duration == 0) {
    ++counts_.malformed;
    return;
  }
  std::int64_t sequence = header.sequence;
  std::int64_t timestamp = header.timestamp;
  if (have_any_) {
    const auto low = [](std::int64_t x) { return static_cast<std::uint32_t>(x); };
    sequence =
        newest_sequence_ +
        static_cast<std::int16_t>(header.sequence - static_cast<std::uint16_t>(newest_sequence_));
    timestamp =
        newest_timestamp_ + static_cast<std::int32_t>(header.timestamp - low(newest_timestamp_));
    if (std::abs(timestamp - newest_timestamp_) > kFarTicks) {
      restart();
      sequence = header.sequence;
      timestamp = header.timestamp;
    }
  }
  if (!have_any_) {
    // Far from zero, so that what comes a little earlier stays positive.
    sequence += 1 << 20;
    timestamp += std::int64_t{1} << 33;
  }
  std::int64_t& seen = seen_[static_cast<std::size_t>(sequence) % seen_.size()];
  if (seen == sequence) {
    ++counts_.duplicate;
    return;
  }
  seen = sequence;
  const bool in_order = !have_any_ || sequence > newest_sequence_;
  estimator_.update(timestamp, arrival_ns);
  if (in_order) {
    newest_sequence_ = sequence;
    newest_timestamp_ = timestamp;
  }
  have_any_ = true;
  if (state_ == State::kPlaying && (sequence < next_sequence_ || timestamp < decoded_end_)) {
    ++counts_.late;
    return;
  }
  if (!in_order) ++counts_.reordered;

  Slot& s = slot(sequence);
  s.sequence = sequence;
  s.timestamp = timestamp;
  s.duration = duration;
  s.size = static_cast<std::uint16_t>(payload.size());
  std::copy(payload.begin(), payload.end(), s.data.begin());
  if (state_ == State::kIdle) {
    state_ = State::kFilling;
    next_sequence_ = sequence;
  } else if (state_ == State::kFilling) {
    next_sequence_ = std::min(next_sequence_, sequence);
  }
}

JitterBuffer::Slot* JitterBuffer::first_waiting() noexcept {
  const std::int64_t from =
      std::max(next_sequence_, newest_sequence_ - static_cast<std::int64_t>(kSlots) + 1);
  for (std::int64_t n = from; n <= newest_sequence_; ++n) {
    if (slot(n).sequence == n) return &slot(n);
  }
  return nullptr;
}

double JitterBuffer::target_ms() const noexcept {
  return std::clamp(
      std::max(estimator_.target_ms(), static_cast<double>(config_.min_delay_ms)) + kMarginMs, 0.0,
      static_cast<double>(config_.max_delay_ms));
}

double JitterBuffer::current_delay_ms(std::int64_t now_ns) const noexcept {
  const std::int64_t playing = DelayEstimator::ticks_to_ns(decoded_end_) -
                               static_cast<std::int64_t>(fifo_length_) * 1'000'000'000 / rate_;
  return static_cast<double>(now_ns - playing - estimator_.base_ns()) / 1e6;
}

bool JitterBuffer::start_playing(std::int64_t now_ns) noexcept {
  const Slot* first = first_waiting();
  if (first == nullptr) return false;
  decoded_end_ = first->timestamp;
  fifo_length_ = 0;
  if (current_delay_ms(now_ns) < target_ms()) return false;
  next_sequence_ = first->sequence;
  state_ = State::kPlaying;
  concealing_ticks_ = 0;
  concealing_hops_ = 0;
  have_smooth_ = false;
  wanting_ms_ = 0;
  return true;
}

void JitterBuffer::settle_concealment(std::int64_t sequence) noexcept {
  if (concealing_ticks_ == 0) return;
  // The next in sequence after a gap in time only: the sender was silent (DTX), nothing was lost.
  const Slot& s = slot(sequence);
  const bool sender_paused = sequence == next_sequence_ && s.timestamp > decoded_end_;
  if (!sender_paused) {
    concealed_ticks_ += static_cast<std::uint64_t>(concealing_ticks_);
    ++counts_.concealments;
  }
  concealing_ticks_ = 0;
  concealing_hops_ = 0;
}

bool JitterBuffer::fetch_packet() noexcept {
  Slot* s = first_waiting();
  if (s == nullptr) return false;
  const std::int64_t gap = s->timestamp - decoded_end_;
  // A gap is first filled by concealment; 2.5 ms is what the codec can do at least.
  if (gap > concealing_ticks_ + kHop48 / 4) return false;
  auto room = fifo().subspan(static_cast<std::size_t>(fifo_length_));
  const std::size_t need =
      static_cast<std::size_t>(s->duration) * static_cast<std::size_t>(rate_) / 48000;
  if (room.size() < need) return false;
  int n = decoder_.decode({s->data.data(), s->size}, room.first(need));
  if (n == 0) {
    // Valid on the outside only; its time has to pass all the same.
    ++counts_.malformed;
    std::fill_n(room.begin(), need, 0.0F);
    n = static_cast<int>(need);
  }
  settle_concealment(s->sequence);
  fifo_length_ += n;
  last_duration_ = s->duration;
  decoded_end_ = s->timestamp + s->duration;
  next_sequence_ = s->sequence + 1;
  s->sequence = -1;
  return true;
}

void JitterBuffer::conceal() noexcept {
  auto room =
      fifo().subspan(static_cast<std::size_t>(fifo_length_), static_cast<std::size_t>(hop_));
  if (decoder_.conceal(room) != hop_) std::fill(room.begin(), room.end(), 0.0F);
  fifo_length_ += hop_;
  concealing_ticks_ += kHop48;
  ++concealing_hops_;
  since_concealed_ = 0;
}

/// How much earlier than the frame's first sample the last packet for it must be here: what is left
/// of a packet between two pulls is waiting that helps nobody.
double JitterBuffer::waste_ms() const noexcept {
  const int packet = last_duration_ * rate_ / 48000;
  return packet >= hop_ ? to_ms(fifo_length_ % hop_)
                        : to_ms(hop_ - packet + fifo_length_ % std::max(packet, 1));
}

bool JitterBuffer::alike(const TimeScale::Match& match, double off_ms) const noexcept {
  // The longer it has been wanted and the farther off the delay is, the less alike it may be.
  const double least = 0.9 - std::min(wanting_ms_ / 5000 + off_ms / 400, 0.5);
  return match.lag > 0 && match.similarity >= least;
}

bool JitterBuffer::shorten(double excess_ms, double waste) noexcept {
  // Up to the waste costs no safety, up to a hop more costs one.
  const double most_ms = excess_ms > kTooMuchMs ? waste + 10 : waste;
  const int wish = std::min(static_cast<int>(most_ms * rate_ / 1000), scale_.longest());
  // Only packets that are here, and ten milliseconds must remain for this pull.
  while (fifo_length_ < wish + std::max(scale_.overlap(), hop_) && fetch_packet()) {
  }
  const int most = std::min(wish, fifo_length_ - std::max(scale_.overlap(), hop_));
  if (most < scale_.shortest()) return false;
  const auto sound = fifo().first(static_cast<std::size_t>(fifo_length_));
  int lag = most;
  if (rms(sound.first(static_cast<std::size_t>(most + scale_.overlap()))) >
      std::max(kPauseLevel, level_ * 0.1)) {
    const auto match = scale_.find_period(sound, most);
    if (!alike(match, std::max(excess_ms - kTooMuchMs, 0.0))) return false;
    lag = match.lag;
  }
  const int before = fifo_length_;
  fifo_length_ = scale_.remove(fifo(), fifo_length_, lag);
  smooth_delay_ms_ -= to_ms(before - fifo_length_);
  accelerated_ += to_ms(before - fifo_length_);
  return true;
}

bool JitterBuffer::lengthen(double missing_ms, double waste) noexcept {
  if (fifo_length_ < scale_.overlap()) return false;
  const auto sound = fifo().first(static_cast<std::size_t>(fifo_length_));
  const auto history = std::span<const float>(buffer_).first(static_cast<std::size_t>(history_));
  int lag = std::max(static_cast<int>((10 - waste) * rate_ / 1000), scale_.shortest());
  if (std::max(rms(sound.first(static_cast<std::size_t>(scale_.overlap()))), rms(history)) >
      std::max(kPauseLevel, level_ * 0.1)) {
    const auto match = scale_.find_repeat(history, sound);
    if (!alike(match, 10 * missing_ms)) return false;
    lag = match.lag;
  }
  const int before = fifo_length_;
  fifo_length_ = scale_.insert(buffer_, history_, fifo_length_, lag);
  smooth_delay_ms_ += to_ms(fifo_length_ - before);
  expanded_ += to_ms(fifo_length_ - before);
  return true;
}

void JitterBuffer::adapt(std::int64_t now_ns) noexcept {
  const double delay = current_delay_ms(now_ns);
  smooth_delay_ms_ = have_smooth_ ? smooth_delay_ms_ + (delay - smooth_delay_ms_) / 16 : delay;
  have_smooth_ = true;
  const double waste = waste_ms();
  const double excess = smooth_delay_ms_ - waste - target_ms();
  const bool too_much = excess > kTooMuchMs || waste > 2.5, too_little = excess < -kTooLittleMs;
  if (!too_much && !too_little) {
    wanting_ms_ = 0;
    return;
  }
  if (since_concealed_ < 3) return;
  wanting_ms_ += 10;
  if (too_little ? lengthen(-excess, waste) : shorten(excess, waste)) wanting_ms_ = 0;
}

JitterBuffer::Pulled JitterBuffer::pull(std::span<float> out, std::int64_t now_ns) noexcept {
  const auto hop = static_cast<std::size_t>(hop_);
  if (out.size() != hop ||
      (state_ != State::kPlaying && (state_ == State::kIdle || !start_playing(now_ns)))) {
    std::fill(out.begin(), out.end(), 0.0F);
    return Pulled::kSilence;
  }
  ++since_concealed_;
  if (fifo_length_ < hop_) fetch_packet();
  if (concealing_ticks_ == 0 || fifo_length_ >= hop_) adapt(now_ns);
  bool made_up = false;
  while (fifo_length_ < hop_) {
    if (fetch_packet()) continue;
    if (concealing_hops_ >= kGiveUpHops) {
      // Nobody sends any more; whoever does, starts anew with a fresh delay.
      concealed_ticks_ += static_cast<std::uint64_t>(concealing_ticks_);
      ++counts_.concealments;
      concealing_ticks_ = 0;
      concealing_hops_ = 0;
      clear_slots();
      state_ = State::kIdle;
      fifo_length_ = 0;
      std::fill(out.begin(), out.end(), 0.0F);
      return Pulled::kSilence;
    }
    conceal();
    made_up = true;
    // What would be played later than allowed is not waited for.
    if (current_delay_ms(now_ns) > config_.max_delay_ms && concealing_ticks_ >= kHop48) {
      decoded_end_ += kHop48;
      concealing_ticks_ -= kHop48;
      concealed_ticks_ += kHop48;
    }
  }
  std::copy_n(fifo().begin(), hop, out.begin());
  fifo_length_ -= hop_;
  std::copy_n(buffer_.begin() + hop_, history_ + fifo_length_, buffer_.begin());
  if (!made_up) {
    const double now = rms(out);
    if (now > kPauseLevel) level_ += (now - level_) / 64;
  }
  return made_up ? Pulled::kConcealed : Pulled::kSound;
}

JitterMetrics JitterBuffer::metrics() const noexcept {
  JitterMetrics m = counts_;
  m.concealed_ms = (concealed_ticks_ + static_cast<std::uint64_t>(concealing_ticks_)) / 48;
  m.accelerated_ms = static_cast<std::uint64_t>(accelerated_);
  m.expanded_ms = static_cast<std::uint64_t>(expanded_);
  int waiting = 0;
  for (const Slot& s : slots_) {
    if (s.sequence >= 0) waiting += s.duration;
  }
  m.buffer_ms = waiting / 48.0 + to_ms(fifo_length_);
  m.delay_ms = have_smooth_ && state_ == State::kPlaying ? smooth_delay_ms_ : 0;
  m.target_ms = estimator_.started() ? target_ms() : 0;
  m.drift_ppm = estimator_.drift_ppm();
  return m;
}

}  // namespace conclave::media
