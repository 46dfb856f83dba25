// SPDX-License-Identifier: Apache-2.0
#include "bench/room/room_engine.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <ctime>
#include <utility>

#include "base/clock.h"
#include "base/realtime.h"

namespace conclave::bench::room {
namespace {

constexpr int kPriority = 40;  // below the phone's audio thread
/// When the host stood still for longer, the room takes up from now instead of catching up.
constexpr std::int64_t kLongestCatchUpNs = 2'000'000'000;
/// Virtual time goes on without a client that does nothing for so long.
constexpr std::int64_t kPatienceNs = 5'000'000'000;

void sleep_until(std::int64_t time_ns) {
  const std::timespec t{static_cast<std::time_t>(time_ns / 1'000'000'000),
                        static_cast<long>(time_ns % 1'000'000'000)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) == EINTR) {
  }
}

}  // namespace

RoomEngine::RoomEngine(std::unique_ptr<Simulator> simulator, bool virtual_time,
                       bool real_time_priority)
    : simulator_(std::move(simulator)),
      virtual_time_(virtual_time),
      real_time_priority_(real_time_priority) {
  const Scene& scene = simulator_->scene();
  const int block = simulator_->block_frames();
  far_ = FrameBuffer(1, block);
  microphones_ = FrameBuffer(simulator_->microphones(), block);
  satellite_ = FrameBuffer(1, ClockSkew::max_output(block));
  RoomCard ring;
  ring.name = "ring";
  ring.capture_channels = static_cast<int>(scene.ring.size());
  ring.playback_channels = 1;
  cards_.push_back(std::move(ring));
  for (std::size_t s = 0; s < scene.satellites.size(); ++s) {
    RoomCard card;
    card.name = "sat" + std::to_string(s + 1);
    card.capture_channels = 1;
    card.ppm = scene.satellites[s].ppm;
    cards_.push_back(std::move(card));
    clocks_.emplace_back(scene.satellites[s].ppm, block);
  }
}

RoomCard* RoomEngine::card(const std::string& name) {
  const std::string prefix = "conclave_";
  const std::string plain = name.starts_with(prefix) ? name.substr(prefix.size()) : name;
  const auto found = std::find_if(cards_.begin(), cards_.end(),
                                  [&](const RoomCard& c) { return c.name == plain; });
  return found == cards_.end() ? nullptr : &*found;
}

void RoomEngine::set_ppm(RoomCard& card, double ppm) {
  card.ppm = ppm;
  const auto index = &card - cards_.data();
  if (index == 0) {
    ring_ppm_ = ppm;
  } else {
    clocks_[static_cast<std::size_t>(index - 1)].set_ppm(ppm);
  }
}

void RoomEngine::quit() {
  quit_ = true;
  moved_.notify_all();
}

void RoomEngine::nudge() {
  // Taken and left: a nudge between the room's look and its wait must not be lost.
  { const std::lock_guard guard(mutex_); }
  moved_.notify_all();
}

bool RoomEngine::can_advance(std::int64_t now_ns) noexcept {
  const int block = simulator_->block_frames();
  bool any = false;
  for (RoomCard& card : cards_) {
    const int step = &card == cards_.data() ? block : ClockSkew::max_output(block);
    for (CardStream* stream : {card.capture.get(), card.playback.get()}) {
      if (stream == nullptr) continue;
      stream->observe();
      any = any || stream->wanted();
      if (!stream->can_move(step)) return false;
    }
    if (card.capture && card.capture->waits_for(card.playback.get(), now_ns)) return false;
    if (card.playback && card.playback->waits_for(card.capture.get(), now_ns)) return false;
  }
  return any;
}

void RoomEngine::run() {
  if (real_time_priority_) realtime::prepare_thread(kPriority);
  realtime::flush_denormals();
  const int rate = simulator_->scene().sample_rate;
  const double block_ns = 1e9 * simulator_->block_frames() / rate;
  const std::int64_t start = SystemClock::now();
  start_ns_.store(start, std::memory_order_release);
  cpu_start_ns_ = realtime::thread_cpu_ns();
  double elapsed = 0;
  std::int64_t epoch = start;
  std::int64_t last_move = start;
  while (!quit_) {
    if (virtual_time_) {
      std::unique_lock guard(mutex_);
      const std::int64_t now = SystemClock::now();
      const bool ready = can_advance(now);
      bool any = false;
      for (const RoomCard& card : cards_) {
        any = any || (card.capture && card.capture->wanted()) ||
              (card.playback && card.playback->wanted());
      }
      if (!ready && !(any && now - last_move > kPatienceNs)) {
        if (!any) last_move = now;
        moved_.wait_for(guard, std::chrono::milliseconds(20));
        continue;
      }
      last_move = now;
      elapsed += block_ns;
      tick(epoch + static_cast<std::int64_t>(elapsed));
      continue;
    }
    elapsed += block_ns / (1 + ring_ppm_ * 1e-6);
    std::int64_t due = epoch + static_cast<std::int64_t>(elapsed);
    sleep_until(due);
    const std::int64_t late = SystemClock::now() - due;
    if (late > kLongestCatchUpNs) {
      epoch += late;
      due += late;
    }
    const std::lock_guard guard(mutex_);
    note_lateness(late);
    tick(due);
  }
}

void RoomEngine::tick(std::int64_t block_time_ns) noexcept {
  const std::int64_t cpu_before = realtime::thread_cpu_ns();
  const std::int64_t entered = SystemClock::now();
  for (RoomCard& card : cards_) {
    if (card.capture) card.capture->observe();
    if (card.playback) card.playback->observe();
    if (card.capture) card.capture->follow(card.playback.get(), entered);
    if (card.playback) card.playback->follow(card.capture.get(), entered);
  }
  RoomCard& ring = cards_.front();
  if (ring.playback) {
    ring.playback->take(far_);
  } else {
    far_.clear();
  }
  simulator_->process(far_, microphones_);
  if (ring.capture) ring.capture->give(microphones_.view().rows(0, ring.capture_channels));
  for (std::size_t s = 0; s < clocks_.size(); ++s) {
    const int row = ring.capture_channels + static_cast<int>(s);
    const int count = clocks_[s].process(microphones_[row], satellite_[0]);
    if (auto& capture = cards_[s + 1].capture) capture->give(satellite_.view().columns(0, count));
  }
  const std::int64_t now = SystemClock::now();
  for (RoomCard& card : cards_) {
    if (now < card.stalled_until_ns) continue;  // samples go on, the card says nothing
    if (card.capture) card.capture->publish(now);
    if (card.playback) card.playback->publish(now);
  }
  note_truth(block_time_ns);
  ++load_.blocks;
  const double used = static_cast<double>(realtime::thread_cpu_ns() - cpu_before) * 1e-3;
  load_.block_us_max = std::max(load_.block_us_max, used);
}

void RoomEngine::note_truth(std::int64_t block_time_ns) noexcept {
  const int block = simulator_->block_frames();
  const std::int64_t first = simulator_->position() - block;
  const std::int64_t frame = simulator_->scene().sample_rate / 100;
  if (first % frame != 0) return;
  const Truth truth = simulator_->truth_at(first);
  const std::int64_t began =
      block_time_ns - std::int64_t{block} * 1'000'000'000 / simulator_->scene().sample_rate;
  const Truth& last = last_truth_.truth;
  if (any_truth_ && truth.talker == last.talker && truth.far_active == last.far_active &&
      truth.azimuth_deg == last.azimuth_deg && truth.t_seconds < last.t_seconds + 0.9995) {
    return;
  }
  any_truth_ = true;
  last_truth_ = {began, truth};
  truth_.try_push(last_truth_);
}

void RoomEngine::note_lateness(std::int64_t late_ns) noexcept {
  const double us = std::max(1.0, static_cast<double>(late_ns) * 1e-3);
  const auto bin = static_cast<std::size_t>(8 * std::log2(us));
  ++lateness_[std::min(bin, lateness_.size() - 1)];
  load_.wake_us_max = std::max(load_.wake_us_max, us);
  const double block_us = 1e6 * simulator_->block_frames() / simulator_->scene().sample_rate;
  if (us > block_us) ++load_.late;
  const std::int64_t now = SystemClock::now();
  const double wall = static_cast<double>(now - start_ns_.load(std::memory_order_relaxed));
  const auto cpu = static_cast<double>(realtime::thread_cpu_ns() - cpu_start_ns_);
  load_.core_percent = 100 * cpu / std::max(wall, 1.0);
  load_.block_us_mean = cpu * 1e-3 / static_cast<double>(std::max<std::uint64_t>(1, load_.blocks));
}

RoomEngine::Load RoomEngine::load() {
  const std::lock_guard guard(mutex_);
  Load load = load_;
  std::uint64_t all = 0;
  for (const std::uint32_t count : lateness_) all += count;
  const auto quantile = [&](double share) {
    std::uint64_t below = 0;
    for (std::size_t bin = 0; bin < lateness_.size(); ++bin) {
      below += lateness_[bin];
      if (all > 0 && static_cast<double>(below) >= share * static_cast<double>(all))
        return std::exp2((static_cast<double>(bin) + 0.5) / 8);
    }
    return 0.0;
  };
  load.wake_us_p50 = quantile(0.5);
  load.wake_us_p99 = quantile(0.99);
  return load;
}

}  // namespace conclave::bench::room
