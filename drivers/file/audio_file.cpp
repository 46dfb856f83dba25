// SPDX-License-Identifier: Apache-2.0
#include "drivers/file/audio_file.h"

#include <sndfile.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

namespace conclave::drivers {
namespace {

constexpr int kChunkFrames = 4800;
constexpr int kMaxFileChannels = 64;

Error bad(const std::string& path, const std::string& what) { return {path + ": " + what}; }

struct CloseSound {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using Sound = std::unique_ptr<SNDFILE, CloseSound>;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

std::uint32_t little32(const unsigned char* p) {
  return static_cast<std::uint32_t>(p[0]) | static_cast<std::uint32_t>(p[1]) << 8 |
         static_cast<std::uint32_t>(p[2]) << 16 | static_cast<std::uint32_t>(p[3]) << 24;
}

// libsndfile reads a WAV that was cut short as if it had been meant to be short. Returns what is
// wrong, or nothing: also for what is no RIFF WAV, which libsndfile judges itself.
std::optional<std::string> check_riff(const std::string& path) {
  std::error_code ignored;
  const std::uint64_t size = std::filesystem::file_size(path, ignored);
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
  if (file == nullptr || ignored) return std::nullopt;
  std::array<unsigned char, 12> head{};
  if (std::fread(head.data(), 1, head.size(), file.get()) != head.size() ||
      std::memcmp(head.data(), "RIFF", 4) != 0 || std::memcmp(head.data() + 8, "WAVE", 4) != 0) {
    return size < 44 ? std::optional<std::string>("is cut short: even its header is not complete")
                     : std::nullopt;
  }
  std::uint64_t at = head.size();
  while (at + 8 <= size) {
    std::array<unsigned char, 8> chunk{};
    if (std::fseek(file.get(), static_cast<long>(at), SEEK_SET) != 0 ||
        std::fread(chunk.data(), 1, chunk.size(), file.get()) != chunk.size()) {
      break;
    }
    const std::uint64_t length = little32(chunk.data() + 4);
    at += 8;
    if (std::memcmp(chunk.data(), "data", 4) == 0) {
      // Programs that write to a pipe leave all ones or zero there: the file's end is the end.
      const bool unknown = length == 0 || length >= 0xFFFFF000U || length == 0x7FFFFFFFU;
      if (unknown || at + length <= size) return std::nullopt;
      return "is cut short: its header promises " + std::to_string(length) +
             " bytes of sound, the file holds " + std::to_string(size - at) +
             "; record or copy it again";
    }
    at += length + length % 2;
  }
  return "is cut short: no sound follows its header; record or copy it again";
}

}  // namespace

struct AudioFileReader::State {
  std::string path;
  Sound sound;
  SF_INFO info{};
  std::vector<float> interleaved;
};

AudioFileReader::AudioFileReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
AudioFileReader::~AudioFileReader() = default;
const std::string& AudioFileReader::path() const { return state_->path; }
int AudioFileReader::channels() const { return state_->info.channels; }
int AudioFileReader::sample_rate() const { return state_->info.samplerate; }
std::int64_t AudioFileReader::frames() const { return state_->info.frames; }

namespace {

Status check_format(const std::string& path, const SF_INFO& info, AudioFileExpectation expected) {
  const int major = info.format & SF_FORMAT_TYPEMASK;
  if (major != SF_FORMAT_WAV && major != SF_FORMAT_WAVEX && major != SF_FORMAT_RF64 &&
      major != SF_FORMAT_FLAC) {
    return bad(path, "is neither WAV nor FLAC; convert it first");
  }
  if (info.samplerate != 16000 && info.samplerate != 48000) {
    return bad(path,
               "has " + std::to_string(info.samplerate) + " Hz; convert it to 16000 or 48000 Hz");
  }
  if (info.channels < 1 || info.channels > kMaxFileChannels) {
    return bad(path, "has " + std::to_string(info.channels) + " channels; at most " +
                         std::to_string(kMaxFileChannels) + " can be read");
  }
  if (expected.sample_rate != 0 && info.samplerate != expected.sample_rate) {
    return bad(path, "has " + std::to_string(info.samplerate) + " Hz, but " +
                         std::to_string(expected.sample_rate) +
                         " Hz are needed like in the other files");
  }
  if (expected.channels != 0 && info.channels != expected.channels) {
    return bad(path, "has " + std::to_string(info.channels) +
                         (info.channels == 1 ? " channel" : " channels") + ", but " +
                         std::to_string(expected.channels) + " are needed; check the profile");
  }
  return {};
}

// Reads through everything once.
Status scan(const std::string& path, SNDFILE* sound, const SF_INFO& info,
            std::vector<float>& buffer) {
  sf_count_t seen = 0;
  for (;;) {
    const sf_count_t got = sf_readf_float(sound, buffer.data(), kChunkFrames);
    if (got <= 0) break;
    const auto count = static_cast<std::size_t>(got * info.channels);
    for (std::size_t i = 0; i < count; ++i) {
      if (std::isfinite(buffer[i])) continue;
      const auto frame = seen + static_cast<sf_count_t>(i) / info.channels;
      std::array<char, 160> text{};
      std::snprintf(text.data(), text.size(),
                    "channel %d holds %s at %.3f s; only finite samples can be processed",
                    static_cast<int>(i % static_cast<std::size_t>(info.channels)),
                    std::isnan(buffer[i]) ? "NaN (not a number)" : "infinity",
                    static_cast<double>(frame) / info.samplerate);
      return bad(path, text.data());
    }
    seen += got;
  }
  if (sf_error(sound) != SF_ERR_NO_ERROR) {
    return bad(path, std::string("is damaged: ") + sf_strerror(sound));
  }
  if (seen < info.frames) {
    return bad(path, "is cut short: its header promises " + std::to_string(info.frames) +
                         " samples, the file holds " + std::to_string(seen) +
                         "; record or copy it again");
  }
  if (sf_seek(sound, 0, SEEK_SET) != 0) return bad(path, "cannot be read from its beginning");
  return {};
}

}  // namespace

Result<std::unique_ptr<AudioFileReader>> AudioFileReader::open(const std::string& path,
                                                               AudioFileExpectation expected) {
  std::error_code error;
  const auto kind = std::filesystem::status(path, error);
  if (!std::filesystem::exists(kind)) return bad(path, "does not exist; check the path");
  if (!std::filesystem::is_regular_file(kind)) return bad(path, "is not a file");
  if (std::filesystem::file_size(path, error) == 0) return bad(path, "is empty");
  if (const auto wrong = check_riff(path)) return bad(path, *wrong);

  auto state = std::make_unique<State>();
  state->path = path;
  state->sound.reset(sf_open(path.c_str(), SFM_READ, &state->info));
  if (state->sound == nullptr) {
    return bad(path, std::string("cannot be read as WAV or FLAC: ") + sf_strerror(nullptr));
  }
  CONCLAVE_CHECK_STATUS(check_format(path, state->info, expected));
  state->interleaved.resize(static_cast<std::size_t>(kChunkFrames) *
                            static_cast<std::size_t>(state->info.channels));
  CONCLAVE_CHECK_STATUS(scan(path, state->sound.get(), state->info, state->interleaved));
  return std::unique_ptr<AudioFileReader>(new AudioFileReader(std::move(state)));
}

int AudioFileReader::read(FrameView out) noexcept {
  auto& s = *state_;
  const int file_channels = s.info.channels;
  int done = 0;
  bool failed = false;
  while (done < out.frames()) {
    const int want = std::min(out.frames() - done, kChunkFrames);
    const auto got = static_cast<int>(sf_readf_float(s.sound.get(), s.interleaved.data(), want));
    failed = sf_error(s.sound.get()) != SF_ERR_NO_ERROR;
    if (got <= 0 || failed) break;
    for (int c = 0; c < out.channels(); ++c) {
      const auto row = out[c];
      const float* from = s.interleaved.data() + std::min(c, file_channels - 1);
      for (int i = 0; i < got; ++i) {
        row[static_cast<std::size_t>(done + i)] =
            c < file_channels ? from[static_cast<std::ptrdiff_t>(i) * file_channels] : 0.0F;
      }
    }
    done += got;
  }
  for (int c = 0; c < out.channels(); ++c) {
    const auto row = out[c];
    std::fill(row.begin() + done, row.end(), 0.0F);
  }
  return failed ? -1 : done;
}

struct AudioFileWriter::State {
  std::string path;
  Sound sound;
  int channels = 0;
  std::vector<float> interleaved;
  bool failed = false;
};

AudioFileWriter::AudioFileWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
AudioFileWriter::~AudioFileWriter() = default;

Result<std::unique_ptr<AudioFileWriter>> AudioFileWriter::create(const std::string& path,
                                                                 int channels, int sample_rate) {
  SF_INFO info{};
  info.channels = channels;
  info.samplerate = sample_rate;
  info.format =
      path.ends_with(".flac") ? SF_FORMAT_FLAC | SF_FORMAT_PCM_24 : SF_FORMAT_WAV | SF_FORMAT_FLOAT;
  auto state = std::make_unique<State>();
  state->path = path;
  state->channels = channels;
  state->sound.reset(sf_open(path.c_str(), SFM_WRITE, &info));
  if (state->sound == nullptr) {
    return bad(path, std::string("cannot be written: ") + sf_strerror(nullptr));
  }
  // The PEAK chunk holds the time of day: two runs would differ.
  sf_command(state->sound.get(), SFC_SET_ADD_PEAK_CHUNK, nullptr, SF_FALSE);
  sf_command(state->sound.get(), SFC_SET_CLIPPING, nullptr, SF_TRUE);
  state->interleaved.resize(static_cast<std::size_t>(kChunkFrames) *
                            static_cast<std::size_t>(channels));
  return std::unique_ptr<AudioFileWriter>(new AudioFileWriter(std::move(state)));
}

bool AudioFileWriter::write(ConstFrameView in) noexcept {
  auto& s = *state_;
  for (int done = 0; done < in.frames() && !s.failed;) {
    const int count = std::min(in.frames() - done, kChunkFrames);
    for (int c = 0; c < s.channels; ++c) {
      const auto row = in[c];
      for (int i = 0; i < count; ++i) {
        s.interleaved[static_cast<std::size_t>(i * s.channels + c)] =
            row[static_cast<std::size_t>(done + i)];
      }
    }
    if (sf_writef_float(s.sound.get(), s.interleaved.data(), count) != count) {
      s.failed = true;
    }
    done += count;
  }
  return !s.failed;
}

Status AudioFileWriter::finish() {
  auto& s = *state_;
  if (s.sound == nullptr) return {};
  if (s.failed) return bad(s.path, "cannot be written to its end; is the disk full?");
  if (sf_close(s.sound.release()) != 0) return bad(s.path, "cannot be closed; is the disk full?");
  return {};
}

}  // namespace conclave::drivers
