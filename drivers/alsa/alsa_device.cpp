// SPDX-License-Identifier: Apache-2.0
#include "drivers/alsa/alsa_device.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <utility>

#include "base/clock.h"
#include "base/realtime.h"
#include "drivers/alsa/alsa_stream.h"

namespace conclave::drivers {
namespace {

constexpr std::int64_t kReadTimeoutNs = 100'000'000;
constexpr std::int64_t kReopenEveryNs = 100'000'000;
/// The lower envelope of arrival times may move up by this share of a hop each hop: 500 ppm, more
/// than any clock is off.
constexpr double kEnvelopeSlope = 5e-4;
constexpr float kFillSmoothing = 0.02F;  // about half a second of 10 ms hops
constexpr int kSettleHops = 100;

IoStatus status_of(long code) {
  switch (-code) {
    case EPIPE:
    case ESTRPIPE:
    case EBADFD:
    case EINTR:
    case EAGAIN:
      return IoStatus::kXrun;
    default:
      return IoStatus::kUnplugged;
  }
}

}  // namespace

class AlsaDevice::Impl {
 public:
  AlsaConfig config;
  AudioFormat format;
  AlsaStream capture;
  AlsaStream playback;
  AlsaStream::Request capture_request;
  AlsaStream::Request playback_request;
  bool has_capture = false;
  bool has_playback = false;
  bool linked = false;
  bool gone = false;
  int lead = 0;
  std::uint64_t xruns = 0;
  std::uint64_t corrections = 0;
  std::int64_t next_reopen_ns = 0;
  double arrival_ns = 0;  // lower envelope of the capture times; 0: none yet
  float fill = 0;
  int settled = 0;

  int target() const noexcept { return std::max(0, lead - format.period_frames); }

  Status open() {
    if (has_capture) CONCLAVE_CHECK_STATUS(capture.open(capture_request));
    if (has_playback) CONCLAVE_CHECK_STATUS(playback.open(playback_request));
    linked = false;
    if (has_capture && has_playback) {
      linked = snd_pcm_link(capture.pcm(), playback.pcm()) == 0;
      if (playback.buffer_frames() < lead + format.period_frames) {
        return Error{"sound card \"" + config.playback_pcm + "\": its buffer of " +
                     std::to_string(playback.buffer_frames()) + " frames is less than the " +
                     std::to_string(lead + format.period_frames) +
                     " needed; use fewer or shorter periods"};
      }
    }
    return {};
  }

  void close() noexcept {
    capture.close();
    playback.close();
  }

  /// From any state to running, the playback queue filled with silence.
  int restart() noexcept {
    arrival_ns = 0;
    settled = 0;
    fill = static_cast<float>(target());
    if (has_capture) capture.drop();
    if (has_playback) playback.drop();
    int result = 0;
    if (has_capture && (result = capture.prepare()) < 0) return result;
    // Linked streams are prepared together; a second prepare does no harm.
    if (has_playback && (result = playback.prepare()) < 0) return result;
    if (has_playback) {
      if ((result = static_cast<int>(playback.available())) < 0) return result;
      if ((result = playback.write_silence(std::min(lead, result))) < 0) return result;
    }
    if (has_playback && !linked && (result = playback.start()) < 0) return result;
    if (has_capture && (result = capture.start()) < 0) return result;
    return 0;
  }

  IoStatus failed(long code) noexcept {
    const IoStatus status = status_of(code);
    if (status == IoStatus::kXrun) ++xruns;
    if (status == IoStatus::kUnplugged) gone = true;
    return status;
  }

  /// Waits until `frames` can be moved.
  IoStatus await(AlsaStream& stream, int frames, std::int64_t timeout_ns,
                 snd_pcm_sframes_t& available) noexcept {
    const std::int64_t deadline = SystemClock::now() + timeout_ns;
    for (;;) {
      available = stream.available();
      if (available < 0) return failed(available);
      if (available >= frames) return IoStatus::kOk;
      const std::int64_t left = deadline - SystemClock::now();
      if (left <= 0) return IoStatus::kTimeout;
      const int result = stream.wait(frames, static_cast<int>(left / 1'000'000 + 1));
      if (result < 0 && result != -EINTR) return failed(result);
    }
  }

  /// A wake-up is late by chance and never early: the lower envelope of the measured times is the
  /// card's clock.
  std::int64_t capture_time(std::int64_t measured_ns, int frames) noexcept {
    const double hop_ns = 1e9 * frames / format.sample_rate;
    const auto measured = static_cast<double>(measured_ns);
    double predicted = arrival_ns + hop_ns;
    if (arrival_ns == 0 || measured < predicted || measured > predicted + 20 * hop_ns) {
      predicted = measured;
    } else {
      predicted += std::min(measured - predicted, kEnvelopeSlope * hop_ns);
    }
    arrival_ns = predicted;
    return static_cast<std::int64_t>(predicted);
  }
};

AlsaDevice::AlsaDevice(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AlsaDevice::~AlsaDevice() { stop(); }

Result<std::unique_ptr<AlsaDevice>> AlsaDevice::create(const AlsaConfig& config) {
  auto impl = std::make_unique<Impl>();
  impl->config = config;
  impl->has_capture = !config.capture_pcm.empty();
  impl->has_playback = !config.playback_pcm.empty();
  AudioFormat& format = impl->format;
  format = config.format;
  if (!impl->has_capture) format.capture_channels = 0;
  if (!impl->has_playback) format.playback_channels = 0;
  if (!impl->has_capture && !impl->has_playback)
    return Error{"no sound card is named: neither for capture nor for playback"};
  if ((impl->has_capture && format.capture_channels < 1) ||
      (impl->has_playback && format.playback_channels < 1) || format.sample_rate < 8000 ||
      format.period_frames < 16 || format.periods < 2) {
    return Error{
        "sound card \"" + (impl->has_capture ? config.capture_pcm : config.playback_pcm) +
        "\": wanted format makes no sense (channels >= 1, rate >= 8000 Hz, periods >= 2 of "
        ">= 16 frames)"};
  }
  impl->lead = config.playback_lead_frames >= 0 ? config.playback_lead_frames
                                                : (format.periods - 1) * format.period_frames;
  impl->capture_request = {config.capture_pcm,
                           SND_PCM_STREAM_CAPTURE,
                           format.capture_channels,
                           format.sample_rate,
                           format.period_frames,
                           std::max(format.periods * format.period_frames, format.sample_rate / 5)};
  impl->playback_request = {config.playback_pcm,      SND_PCM_STREAM_PLAYBACK,
                            format.playback_channels, format.sample_rate,
                            format.period_frames,     impl->lead + 2 * format.period_frames};
  CONCLAVE_CHECK_STATUS(impl->open());
  return std::unique_ptr<AlsaDevice>(new AlsaDevice(std::move(impl)));
}

const AudioFormat& AlsaDevice::format() const noexcept { return impl_->format; }
std::string AlsaDevice::name() const {
  return impl_->has_capture ? impl_->config.capture_pcm : impl_->config.playback_pcm;
}
bool AlsaDevice::linked() const noexcept { return impl_->linked; }
std::uint64_t AlsaDevice::drift_corrections() const noexcept { return impl_->corrections; }

std::string AlsaDevice::describe() const {
  std::string text;
  if (impl_->has_capture) text = impl_->capture.describe();
  if (impl_->has_playback) text += (text.empty() ? "" : "; ") + impl_->playback.describe();
  if (impl_->linked) text += "; linked";
  return text;
}

Status AlsaDevice::start() {
  if (!impl_->capture.is_open() && !impl_->playback.is_open()) CONCLAVE_CHECK_STATUS(impl_->open());
  impl_->gone = false;
  impl_->xruns = 0;
  if (const int result = impl_->restart(); result < 0) {
    return Error{"sound card \"" + name() + "\" does not start: " + snd_strerror(result) +
                 "; check that it is plugged in and free"};
  }
  return {};
}

void AlsaDevice::stop() noexcept { impl_->close(); }

IoStatus AlsaDevice::read(FrameView capture, IoInfo& info) noexcept {
  Impl& self = *impl_;
  if (self.gone) return IoStatus::kUnplugged;
  const int frames = capture.frames();
  snd_pcm_sframes_t available = 0;
  info.xruns = self.xruns;
  if (!self.has_capture) {  // a loudspeaker alone paces by its queue
    const IoStatus status =
        self.await(self.playback, self.format.period_frames, kReadTimeoutNs, available);
    info.capture_time_ns = SystemClock::now();
    info.delay_frames = self.playback.delay();
    info.xruns = self.xruns;
    return status;
  }
  const IoStatus status = self.await(self.capture, frames, kReadTimeoutNs, available);
  info.xruns = self.xruns;
  if (status != IoStatus::kOk) return status;
  const std::int64_t now = SystemClock::now();
  if (const int result = self.capture.read(capture); result < 0) {
    const IoStatus failure = self.failed(result);
    info.xruns = self.xruns;
    return failure;
  }
  const std::int64_t backlog = (available - frames) * 1'000'000'000 / self.format.sample_rate;
  info.capture_time_ns = self.capture_time(now - backlog, frames);
  info.delay_frames = self.capture.delay() + (self.has_playback ? self.playback.delay() : 0);
  return IoStatus::kOk;
}

IoStatus AlsaDevice::write(ConstFrameView playback) noexcept {
  Impl& self = *impl_;
  if (self.gone) return IoStatus::kUnplugged;
  if (!self.has_playback) return IoStatus::kOk;
  const int frames = playback.frames();
  snd_pcm_sframes_t room = 0;
  const std::int64_t period_ns =
      std::int64_t{1'000'000'000} * self.format.period_frames / self.format.sample_rate;
  if (const IoStatus status = self.await(self.playback, frames, period_ns, room);
      status != IoStatus::kOk) {
    return status;
  }
  int skip = 0;
  if (self.has_capture && !self.linked) {
    // Two directions that were not started as one may lie wrong from the start or, on two clocks,
    // drift apart. What is queued for the loudspeaker and what waits to be read add up to what was
    // queued at start less the hop in hand, however late this thread is.
    const snd_pcm_sframes_t unread = self.capture.available();
    if (unread < 0) return self.failed(unread);
    const auto queued = static_cast<float>(self.playback.buffer_frames() - room + unread);
    self.fill += kFillSmoothing * (queued - self.fill);
    if (++self.settled > kSettleHops) {
      const int error = static_cast<int>(std::lround(self.fill)) - self.target();
      if (error > self.format.period_frames) {
        skip = std::min(error, frames);
      } else if (error < -self.format.period_frames * 3 / 5) {
        const int missing = std::min<int>(-error, static_cast<int>(room) - frames);
        if (missing > 0) self.playback.write_silence(missing);
      }
      if (skip > 0 || error < -self.format.period_frames * 3 / 5) {
        ++self.corrections;
        self.settled = 0;
        self.fill = static_cast<float>(self.target());
      }
    }
  }
  const int result = self.playback.write(playback.columns(skip, frames - skip));
  return result < 0 ? self.failed(result) : IoStatus::kOk;
}

int AlsaDevice::read_available(FrameView capture) noexcept {
  Impl& self = *impl_;
  if (self.gone || !self.has_capture) return -1;
  const snd_pcm_sframes_t available = self.capture.available();
  if (available < 0) {
    self.failed(available);
    return -1;
  }
  const int frames = static_cast<int>(std::min<snd_pcm_sframes_t>(available, capture.frames()));
  if (frames == 0) return 0;
  if (const int result = self.capture.read(capture.columns(0, frames)); result < 0) {
    self.failed(result);
    return -1;
  }
  return frames;
}

IoStatus AlsaDevice::recover() noexcept {
  Impl& self = *impl_;
  if (!self.gone) {
    const int result = self.restart();
    if (result == 0) return IoStatus::kOk;
    self.gone = true;  // what cannot be started again is opened again
  }
  const std::int64_t now = SystemClock::now();
  if (now < self.next_reopen_ns) return IoStatus::kUnplugged;
  self.next_reopen_ns = now + kReopenEveryNs;
  const realtime::Exempt opening;
  self.close();
  if (!self.open() || self.restart() < 0) {
    self.close();
    return IoStatus::kUnplugged;
  }
  self.gone = false;
  return IoStatus::kOk;
}

}  // namespace conclave::drivers
