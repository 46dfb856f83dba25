// SPDX-License-Identifier: Apache-2.0
#include "engine/audio_thread.h"

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "base/clock.h"
#include "base/realtime.h"

namespace conclave::engine {
namespace {

using drivers::IoStatus;

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kBlockNs = kSecondNs / kFramesPerSecond;
constexpr int kPercentileBlocks = 50;  // percentiles are told twice a second

std::string channels(int count) {
  return std::to_string(count) + (count == 1 ? " channel" : " channels");
}

}  // namespace

AudioThread::AudioThread(const AudioThreadConfig& config,
                         std::unique_ptr<drivers::AudioDevice> ring,
                         std::vector<std::unique_ptr<drivers::AudioDevice>> satellites,
                         AudioFrameRing* uplink, AudioFrameRing* downlink)
    : config_(config),
      ring_(std::move(ring)),
      satellites_(std::move(satellites)),
      uplink_(uplink),
      downlink_(downlink),
      params_(config.engine.params),
      in_call_(config.engine.params.in_call) {}

Result<std::unique_ptr<AudioThread>> AudioThread::create(
    const AudioThreadConfig& config, std::unique_ptr<drivers::AudioDevice> ring,
    std::vector<std::unique_ptr<drivers::AudioDevice>> satellites, AudioFrameRing* uplink,
    AudioFrameRing* downlink) {
  std::unique_ptr<AudioThread> thread(
      new AudioThread(config, std::move(ring), std::move(satellites), uplink, downlink));
  CONCLAVE_CHECK_STATUS(thread->build());
  return thread;
}

AudioThread::~AudioThread() { stop(); }

Status AudioThread::build() {
  const auto& format = ring_->format();
  config_.engine.sample_rate = format.sample_rate;
  // Satellites in the ring's own stream: a recording.
  const bool recorded =
      format.capture_channels > static_cast<int>(config_.engine.geometry.ring.size());
  if (recorded) config_.engine.satellite_clock = SatelliteClock::kRecording;
  CONCLAVE_TRY(engine_, Engine::create(config_.engine));
  const int ring_mics = engine_->ring_mics();
  const int satellites = engine_->satellites();
  const bool all_in_ring = satellites_.empty() && format.capture_channels == ring_mics + satellites;
  if (format.capture_channels != ring_mics && !all_in_ring) {
    return Error{ring_->name() + " has " + channels(format.capture_channels) +
                 ", the profile's ring " + std::to_string(ring_mics) +
                 "; use the profile that belongs to this device"};
  }
  if (static_cast<int>(satellites_.size()) > satellites) {
    return Error{"the profile knows " + std::to_string(satellites) + " satellites, but " +
                 std::to_string(satellites_.size()) + " are connected; add them to the profile"};
  }
  for (const auto& satellite : satellites_) {
    const auto& f = satellite->format();
    if (f.sample_rate != format.sample_rate || f.capture_channels != 1) {
      return Error{satellite->name() + " must have 1 channel at " +
                   std::to_string(format.sample_rate) + " Hz like the ring"};
    }
  }
  CONCLAVE_TRY(satellite_inputs_,
               SatelliteInputs::create(format.sample_rate, engine_->hop(), satellites));
  recorder_ = std::make_unique<AbRecorder>(format.sample_rate, config_.recorder_seconds,
                                           engine_->latency_frames());
  const int hop = engine_->hop();
  latency_ns_ = engine_->latency_frames() * kSecondNs / format.sample_rate;
  capture_ = FrameBuffer(ring_mics + satellites, hop);
  far_ = FrameBuffer(1, hop);
  playback_ = FrameBuffer(format.playback_channels, hop);
  play_mono_ = FrameBuffer(1, hop);
  send_ = FrameBuffer(1, hop);
  // A card that was held up may deliver several blocks at once.
  satellite_in_ = FrameBuffer(1, 4 * hop);
  return {};
}

Status AudioThread::start() {
  if (thread_.joinable()) return Error{"the audio thread runs already"};
  for (std::size_t s = 0; s < satellites_.size(); ++s) {
    if (auto started = satellites_[s]->start(); !started) {
      log::warning("audio", "satellite does not start; it is tried again",
                   {{"device", satellites_[s]->name()}, {"cause", started.error().message}});
      satellite_lost_[s] = true;
    }
  }
  stopping_ = false;
  finished_ = false;
  std::promise<Status> started;
  auto status = started.get_future();
  thread_ =
      std::thread([this, started = std::move(started)]() mutable { run(std::move(started)); });
  Status result = status.get();
  if (!result) {
    thread_.join();
    for (auto& satellite : satellites_) satellite->stop();
  }
  return result;
}

void AudioThread::stop() noexcept {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  thread_.join();
  ring_->stop();
  for (auto& satellite : satellites_) satellite->stop();
}

void AudioThread::run(std::promise<Status> started) noexcept {
  const auto setup = realtime::prepare_thread(config_.priority);
  // The ring comes last: locking the memory and opening satellites take longer than the loudspeaker
  // has samples for.
  Status ring = ring_->start();
  const bool running = ring.ok();
  started.set_value(std::move(ring));
  if (!running) return;
  if (!setup.fifo || !setup.locked) post(EngineEvent::Kind::kNoRealtime, 0);
  if (config_.seccomp && !restrict_audio_thread(*config_.seccomp)) {
    post(EngineEvent::Kind::kFilterRefused, 0);
  }
  post(EngineEvent::Kind::kStarted, 0);
  second_begin_ns_ = SystemClock::now();
  second_cpu_ns_ = realtime::thread_cpu_ns();
  {
    const realtime::Scope scope;
    while (!stopping_.load(std::memory_order_acquire) && block()) {
    }
  }
  counters_.device_state = DeviceState::kStopped;
  counters_.cpu.p50_us = cpu_.percentile(0.5F);
  counters_.cpu.p99_us = cpu_.percentile(0.99F);
  counters_.cpu.p9999_us = cpu_.percentile(0.9999F);
  publish();
  finished_.store(true, std::memory_order_release);
}

// The frame's way: device -> engine -> device and queue. False at the end of a file.
bool AudioThread::block() noexcept {
  const std::int64_t cpu_begin = realtime::thread_cpu_ns();
  const IoStatus status = ring_lost_ ? recover_ring() : read_ring();
  if (status == IoStatus::kEnd) {
    post(EngineEvent::Kind::kEnded, 0);
    return false;
  }
  if (status == IoStatus::kTimeout) return true;
  const std::int64_t wall_begin = SystemClock::now();
  if (params_.fresh()) {
    const EngineParams& params = params_.read();
    in_call_ = params.in_call;
    engine_->set_params(params);
  }
  take_downlink();
  if (status != IoStatus::kOk) {
    silent_block(wall_begin);
    account(wall_begin, cpu_begin);
    return true;
  }

  read_satellites();
  engine_->process(capture_, far_, satellite_inputs_->synced(), play_mono_, send_);
  for (int c = 0; c < playback_.channels(); ++c) {
    std::ranges::copy(play_mono_[0], playback_[c].begin());
  }
  if (playback_.channels() > 0) {
    const realtime::Exempt device;
    if (const auto written = ring_->write(playback_); written != IoStatus::kOk) lose_ring(written);
  }
  put_uplink(io_.capture_time_ns, engine_->metrics().muted);
  recorder_->write(capture_[0], send_[0], play_mono_[0], io_.capture_time_ns);
  account(wall_begin, cpu_begin);
  return true;
}

IoStatus AudioThread::read_ring() noexcept {
  const realtime::Exempt device;
  const int direct = ring_->format().capture_channels;
  const IoStatus status = ring_->read(capture_.view().rows(0, direct), io_);
  if (status == IoStatus::kXrun || status == IoStatus::kUnplugged) lose_ring(status);
  return status;
}

void AudioThread::lose_ring(IoStatus status) noexcept {
  if (ring_lost_) return;
  ring_lost_ = true;
  next_block_ns_ = SystemClock::now();
  if (status == IoStatus::kUnplugged) {
    ++counters_.unplugs;
    counters_.device_state = DeviceState::kUnplugged;
    post(EngineEvent::Kind::kUnplugged, 0);
  } else {
    ++counters_.xruns;
    counters_.device_state = DeviceState::kRecovering;
    post(EngineEvent::Kind::kXrun, 0);
  }
}

// One try per block. Loudspeaker and microphones start anew against each other, so everything the
// engine learned about their alignment is void.
IoStatus AudioThread::recover_ring() noexcept {
  IoStatus status;
  {
    const realtime::Exempt device;
    status = ring_->recover();
  }
  if (status != IoStatus::kOk) {
    if (status == IoStatus::kUnplugged && counters_.device_state != DeviceState::kUnplugged) {
      ++counters_.unplugs;
      counters_.device_state = DeviceState::kUnplugged;
      post(EngineEvent::Kind::kUnplugged, 0);
    }
    return status == IoStatus::kEnd ? IoStatus::kEnd : IoStatus::kUnplugged;
  }
  ring_lost_ = false;
  engine_->reset();
  satellite_inputs_->reset();
  post(EngineEvent::Kind::kRecovered, 0);
  return read_ring();
}

// No device: the far end hears silence at the usual pace, and its own frames do not pile up.
void AudioThread::silent_block(std::int64_t now_ns) noexcept {
  send_.clear();
  play_mono_.clear();
  std::ranges::fill(capture_[0], 0.0F);
  put_uplink(now_ns, true);
  recorder_->write(capture_[0], send_[0], play_mono_[0], now_ns);
  next_block_ns_ = std::max(next_block_ns_ + kBlockNs, now_ns);
  const std::timespec until{.tv_sec = next_block_ns_ / kSecondNs,
                            .tv_nsec = next_block_ns_ % kSecondNs};
  const realtime::Exempt device;
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

void AudioThread::read_satellites() noexcept {
  const int ring_mics = engine_->ring_mics();
  const int count = engine_->satellites();
  if (count == 0) return;
  const FrameView rows = capture_.view().rows(ring_mics, count);
  if (ring_->format().capture_channels > ring_mics) {
    for (int s = 0; s < count; ++s) satellite_inputs_->push(s, rows.rows(s, 1));
  }
  for (std::size_t i = 0; i < satellites_.size(); ++i) {
    const int s = static_cast<int>(i);
    int got;
    {
      const realtime::Exempt device;
      if (satellite_lost_[i] && satellites_[i]->recover() != IoStatus::kOk) continue;
      got = satellites_[i]->read_available(satellite_in_);
    }
    if (satellite_lost_[i]) post(EngineEvent::Kind::kSatelliteBack, s + 1);
    satellite_lost_[i] = got < 0;
    if (got < 0) {
      satellite_inputs_->lose(s);
      post(EngineEvent::Kind::kSatelliteLost, s + 1);
    } else if (got > 0) {
      satellite_inputs_->push(s, satellite_in_.view().columns(0, got));
    }
  }
  satellite_inputs_->pull(rows);
}

void AudioThread::take_downlink() noexcept {
  const AudioFrame* frame = downlink_ != nullptr ? downlink_->begin_pop() : nullptr;
  const auto far = far_[0];
  std::size_t filled = 0;
  if (frame != nullptr) {
    filled = std::min(far.size(), static_cast<std::size_t>(std::max(frame->samples, 0)));
    std::copy_n(frame->data.begin(), std::min(filled, frame->data.size()), far.begin());
    downlink_->end_pop();
  } else if (downlink_ != nullptr && in_call_) {
    ++counters_.downlink_underruns;
  }
  std::fill(far.begin() + static_cast<std::ptrdiff_t>(filled), far.end(), 0.0F);
}

void AudioThread::put_uplink(std::int64_t captured_ns, bool silence) noexcept {
  const std::uint64_t index = sent_frames_++;
  if (uplink_ == nullptr) return;
  AudioFrame* frame = uplink_->begin_push();
  if (frame == nullptr) {
    if (in_call_) ++counters_.uplink_overruns;
    return;
  }
  const auto send = send_[0];
  std::ranges::copy(send, frame->data.begin());
  frame->samples = static_cast<std::int32_t>(send.size());
  frame->index = index;
  frame->time_ns = captured_ns - latency_ns_;
  frame->flags = silence ? kAudioFrameSilence : 0;
  uplink_->end_push();
}

void AudioThread::account(std::int64_t wall_begin_ns, std::int64_t cpu_begin_ns) noexcept {
  const std::int64_t cpu_now = realtime::thread_cpu_ns();
  const std::int64_t wall_now = SystemClock::now();
  const float cpu_us = static_cast<float>(cpu_now - cpu_begin_ns) * 1e-3F;
  if (!ring_lost_) {
    cpu_.add(cpu_us);
    if (wall_now - wall_begin_ns > kBlockNs) ++counters_.late;
    counters_.device_state = DeviceState::kRunning;
  }
  counters_.cpu.last_us = cpu_us;
  counters_.cpu.max_us = cpu_.max_us();
  if (++blocks_ % kPercentileBlocks == 1) {
    counters_.cpu.p50_us = cpu_.percentile(0.5F);
    counters_.cpu.p99_us = cpu_.percentile(0.99F);
    counters_.cpu.p9999_us = cpu_.percentile(0.9999F);
  }
  if (wall_now - second_begin_ns_ >= kSecondNs) {
    counters_.core_percent = 100.0F * static_cast<float>(cpu_now - second_cpu_ns_) /
                             static_cast<float>(wall_now - second_begin_ns_);
    second_begin_ns_ = wall_now;
    second_cpu_ns_ = cpu_now;
  }
  publish();
}

void AudioThread::publish() noexcept {
  EngineMetrics m = engine_->metrics();
  satellite_inputs_->fill(m);
  m.blocks = blocks_;
  m.device_state = counters_.device_state;
  m.late = counters_.late;
  m.xruns = counters_.xruns;
  m.unplugs = counters_.unplugs;
  m.uplink_overruns = counters_.uplink_overruns;
  m.downlink_underruns = counters_.downlink_underruns;
  m.cpu = counters_.cpu;
  m.core_percent = counters_.core_percent;
  metrics_.publish(m);
}

void AudioThread::post(EngineEvent::Kind kind, int device) noexcept {
  events_.try_push({kind, device, blocks_});
}

}  // namespace conclave::engine
