// SPDX-License-Identifier: Apache-2.0
#include "drivers/alsa/alsa_stream.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <mutex>

#include "base/realtime.h"

namespace conclave::drivers {
namespace {

// alsa-lib explains failures on standard error, and would do so ten times a second while a card is
// away. The last explanation is kept instead and becomes part of our own message.
thread_local std::array<char, 256> last_words{};

void keep_words(const char* file, int line, const char* function, int code, const char* format, ...)
    __attribute__((format(printf, 5, 6)));
void keep_words(const char* /*file*/, int /*line*/, const char* /*function*/, int /*code*/,
                const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(last_words.data(), last_words.size(), format, arguments);
  va_end(arguments);
}

struct FreeHw {
  void operator()(snd_pcm_hw_params_t* p) const { snd_pcm_hw_params_free(p); }
};
using HwParams = std::unique_ptr<snd_pcm_hw_params_t, FreeHw>;

struct FormatChoice {
  snd_pcm_format_t alsa;
  SampleFormat ours;
};
constexpr std::array<FormatChoice, 5> kFormats{{{SND_PCM_FORMAT_FLOAT_LE, SampleFormat::kFloat},
                                                {SND_PCM_FORMAT_S32_LE, SampleFormat::kS32},
                                                {SND_PCM_FORMAT_S24_LE, SampleFormat::kS24},
                                                {SND_PCM_FORMAT_S24_3LE, SampleFormat::kS24In3},
                                                {SND_PCM_FORMAT_S16_LE, SampleFormat::kS16}}};

std::string range(unsigned low, unsigned high) {
  return low == high ? std::to_string(low) : std::to_string(low) + " to " + std::to_string(high);
}

}  // namespace

Error AlsaStream::refused(const std::string& what, int code) const {
  return {"sound card \"" + request_.pcm + "\" (" + snd_pcm_stream_name(request_.direction) +
          "): " + what + (code != 0 ? std::string(": ") + snd_strerror(code) : "")};
}

Status AlsaStream::open(const Request& request) {
  static std::once_flag quiet;
  std::call_once(quiet, [] { snd_lib_error_set_handler(keep_words); });
  close();
  request_ = request;
  last_words[0] = '\0';
  last_error_ = snd_pcm_open(&pcm_, request.pcm.c_str(), request.direction, SND_PCM_NONBLOCK);
  if (last_error_ < 0) {
    pcm_ = nullptr;
    switch (last_error_) {
      case -ENOENT:
        return refused("ALSA knows no PCM of this name; `aplay -L` lists them", 0);
      case -EBUSY:
        return refused("in use by another program; end that one first", 0);
      case -ENODEV:
        return refused("not plugged in", 0);
      case -ECONNREFUSED:
        return refused("the virtual room is not running; start `conclave room serve`", 0);
      default:
        return refused(last_words[0] != '\0' ? last_words.data() : "cannot be opened", last_error_);
    }
  }
  auto status = configure();
  if (!status) close();
  return status;
}

Status AlsaStream::configure() {
  snd_pcm_hw_params_t* raw = nullptr;
  snd_pcm_hw_params_malloc(&raw);
  const HwParams owner(raw);
  if ((last_error_ = snd_pcm_hw_params_any(pcm_, raw)) < 0)
    return refused("offers no configuration", last_error_);

  // No conversion of the rate behind our back: it would cost latency and hide the card's clock.
  snd_pcm_hw_params_set_rate_resample(pcm_, raw, 0);
  if (snd_pcm_hw_params_set_access(pcm_, raw, SND_PCM_ACCESS_MMAP_INTERLEAVED) < 0 &&
      snd_pcm_hw_params_set_access(pcm_, raw, SND_PCM_ACCESS_MMAP_NONINTERLEAVED) < 0) {
    last_error_ = -EINVAL;
    return refused("has no memory-mapped access; try \"plughw:\" or another PCM", 0);
  }
  const auto channels = static_cast<unsigned>(request_.channels);
  unsigned low = 0;
  unsigned high = 0;
  snd_pcm_hw_params_get_channels_min(raw, &low);
  snd_pcm_hw_params_get_channels_max(raw, &high);
  if ((last_error_ = snd_pcm_hw_params_set_channels(pcm_, raw, channels)) < 0) {
    return refused(std::to_string(channels) + " channels wanted, it can do " + range(low, high) +
                       "; choose another card or another profile",
                   0);
  }
  int direction = 0;
  snd_pcm_hw_params_get_rate_min(raw, &low, &direction);
  snd_pcm_hw_params_get_rate_max(raw, &high, &direction);
  last_error_ =
      snd_pcm_hw_params_set_rate(pcm_, raw, static_cast<unsigned>(request_.sample_rate), 0);
  if (last_error_ < 0) {
    return refused(std::to_string(request_.sample_rate) + " Hz wanted, it can do " +
                       range(low, high) + " Hz; choose another rate or another card",
                   0);
  }
  const auto* choice = std::find_if(kFormats.begin(), kFormats.end(), [&](const FormatChoice& f) {
    return snd_pcm_hw_params_set_format(pcm_, raw, f.alsa) == 0;
  });
  if (choice == kFormats.end()) {
    last_error_ = -EINVAL;
    return refused("offers none of the sample formats float, S32, S24, S16 (little-endian)", 0);
  }
  format_ = choice->ours;

  auto period = static_cast<snd_pcm_uframes_t>(request_.period_frames);
  auto buffer = static_cast<snd_pcm_uframes_t>(request_.buffer_frames);
  direction = 0;
  // The period first: it sets how finely the card tells its position.
  snd_pcm_hw_params_set_period_size_near(pcm_, raw, &period, &direction);
  snd_pcm_hw_params_set_buffer_size_near(pcm_, raw, &buffer);
  if ((last_error_ = snd_pcm_hw_params(pcm_, raw)) < 0)
    return refused("refuses the configuration", last_error_);
  snd_pcm_hw_params_get_buffer_size(raw, &buffer);
  buffer_frames_ = static_cast<int>(buffer);
  if (buffer_frames_ < 2 * request_.period_frames) {
    last_error_ = -EINVAL;
    return refused("its buffer holds " + std::to_string(buffer_frames_) + " frames, at least " +
                       std::to_string(2 * request_.period_frames) + " are needed",
                   0);
  }

  snd_pcm_sw_params_malloc(&sw_params_);
  snd_pcm_uframes_t boundary = 0;
  wake_frames_ = request_.period_frames;
  snd_pcm_sw_params_current(pcm_, sw_params_);
  snd_pcm_sw_params_get_boundary(sw_params_, &boundary);
  snd_pcm_sw_params_set_start_threshold(pcm_, sw_params_, boundary);  // only start() starts
  snd_pcm_sw_params_set_stop_threshold(pcm_, sw_params_, buffer);
  snd_pcm_sw_params_set_avail_min(pcm_, sw_params_, static_cast<snd_pcm_uframes_t>(wake_frames_));
  if ((last_error_ = snd_pcm_sw_params(pcm_, sw_params_)) < 0)
    return refused("refuses the software parameters", last_error_);
  return {};
}

void AlsaStream::close() noexcept {
  const realtime::Exempt device;
  if (sw_params_ != nullptr) snd_pcm_sw_params_free(sw_params_);
  sw_params_ = nullptr;
  if (pcm_ != nullptr) snd_pcm_close(pcm_);
  pcm_ = nullptr;
}

std::string AlsaStream::describe() const {
  if (pcm_ == nullptr) return request_.pcm + " closed";
  return request_.pcm + ' ' + snd_pcm_stream_name(request_.direction) + ' ' +
         std::to_string(request_.channels) + " ch " + std::to_string(request_.sample_rate) +
         " Hz " + sample_format_name(format_) + ", buffer " + std::to_string(buffer_frames_);
}

int AlsaStream::prepare() noexcept {
  const realtime::Exempt device;
  return pcm_ == nullptr ? -ENODEV : snd_pcm_prepare(pcm_);
}

int AlsaStream::start() noexcept {
  const realtime::Exempt device;
  return pcm_ == nullptr ? -ENODEV : snd_pcm_start(pcm_);
}

void AlsaStream::drop() noexcept {
  const realtime::Exempt device;
  if (pcm_ != nullptr) snd_pcm_drop(pcm_);
}

snd_pcm_sframes_t AlsaStream::available() noexcept {
  const realtime::Exempt device;
  if (pcm_ == nullptr) return -ENODEV;
  const snd_pcm_sframes_t frames = snd_pcm_avail_update(pcm_);
  if (frames < 0) return frames;
  // Some PCMs go on telling their last position after they were unplugged.
  const snd_pcm_state_t state = snd_pcm_state(pcm_);
  if (state == SND_PCM_STATE_DISCONNECTED) return -ENODEV;
  if (state == SND_PCM_STATE_XRUN) return -EPIPE;
  return frames;
}

int AlsaStream::delay() noexcept {
  const realtime::Exempt device;
  snd_pcm_sframes_t frames = 0;
  if (pcm_ == nullptr || snd_pcm_delay(pcm_, &frames) < 0) return 0;
  return static_cast<int>(std::clamp<snd_pcm_sframes_t>(frames, 0, 1 << 20));
}

int AlsaStream::wait(int frames, int timeout_ms) noexcept {
  const realtime::Exempt device;
  if (pcm_ == nullptr) return -ENODEV;
  if (frames != wake_frames_) {
    // Waiting for less than is wanted would spin, for more would oversleep.
    snd_pcm_sw_params_set_avail_min(pcm_, sw_params_, static_cast<snd_pcm_uframes_t>(frames));
    if (const int result = snd_pcm_sw_params(pcm_, sw_params_); result < 0) return result;
    wake_frames_ = frames;
  }
  return snd_pcm_wait(pcm_, timeout_ms);
}

template <typename Move>
int AlsaStream::transfer(int frames, Move move) noexcept {
  int done = 0;
  while (done < frames) {
    const snd_pcm_channel_area_t* areas = nullptr;
    snd_pcm_uframes_t offset = 0;
    auto count = static_cast<snd_pcm_uframes_t>(frames - done);
    {
      const realtime::Exempt device;
      if (pcm_ == nullptr) return -ENODEV;
      if (const int result = snd_pcm_mmap_begin(pcm_, &areas, &offset, &count); result < 0)
        return result;
    }
    if (count == 0) return -EPIPE;
    for (int c = 0; c < request_.channels; ++c) {
      const std::ptrdiff_t step = static_cast<std::ptrdiff_t>(areas[c].step) / 8;
      std::byte* base = static_cast<std::byte*>(areas[c].addr) + areas[c].first / 8 +
                        static_cast<std::ptrdiff_t>(offset) * step;
      move(c, base, step, done, static_cast<int>(count));
    }
    const realtime::Exempt device;
    const snd_pcm_sframes_t moved = snd_pcm_mmap_commit(pcm_, offset, count);
    if (moved < 0) return static_cast<int>(moved);
    if (static_cast<snd_pcm_uframes_t>(moved) != count) return -EPIPE;
    done += static_cast<int>(count);
  }
  return 0;
}

int AlsaStream::read(FrameView to) noexcept {
  const int rows = std::min(to.channels(), request_.channels);
  return transfer(to.frames(),
                  [&](int c, const std::byte* base, std::ptrdiff_t step, int first, int count) {
                    if (c < rows)
                      samples_to_float(format_, base, step, to.columns(first, count)[c]);
                  });
}

int AlsaStream::write(ConstFrameView from) noexcept {
  if (from.channels() == 0) return write_silence(from.frames());
  // A card with more channels than the signal plays the last one on the others too.
  const int last = from.channels() - 1;
  return transfer(
      from.frames(), [&](int c, std::byte* base, std::ptrdiff_t step, int first, int count) {
        samples_from_float(format_, from.columns(first, count)[std::min(c, last)], base, step);
      });
}

int AlsaStream::write_silence(int frames) noexcept {
  static constexpr std::array<float, 256> kZeros{};
  while (frames > 0) {
    const int count = std::min<int>(frames, kZeros.size());
    const int result = transfer(count, [&](int, std::byte* base, std::ptrdiff_t step, int, int n) {
      samples_from_float(format_, std::span(kZeros).first(static_cast<std::size_t>(n)), base, step);
    });
    if (result < 0) return result;
    frames -= count;
  }
  return 0;
}

}  // namespace conclave::drivers
