// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/sound.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "drivers/file/audio_file.h"

namespace conclave::bench::echo {

Result<Sound> load_sound(const std::string& path) {
  CONCLAVE_TRY(auto reader, drivers::AudioFileReader::open(path));
  if (reader->frames() > INT_MAX / 4) return Error{path + ": is longer than a bench needs"};
  Sound sound{reader->sample_rate(),
              FrameBuffer(reader->channels(), static_cast<int>(reader->frames()))};
  if (reader->read(sound.samples) < 0) return Error{path + ": cannot be read to its end"};
  return sound;
}

Status save_sound(const std::string& path, ConstFrameView samples, int rate) {
  CONCLAVE_TRY(auto writer, drivers::AudioFileWriter::create(path, samples.channels(), rate));
  writer->write(samples);
  return writer->finish();
}

Status save_sound(const std::string& path, std::span<const float> samples, int rate) {
  return save_sound(path, ConstFrameView(samples), rate);
}

Status save_sound_16_bit(const std::string& path, ConstFrameView samples, int rate) {
  std::string bytes;
  const auto put = [&](std::uint32_t value, int count) {
    for (int i = 0; i < count; ++i) bytes.push_back(static_cast<char>(value >> (8 * i) & 0xFFU));
  };
  const auto channels = static_cast<std::uint32_t>(samples.channels());
  const std::uint32_t data = static_cast<std::uint32_t>(samples.frames()) * channels * 2;
  bytes += "RIFF";
  put(36 + data, 4);
  bytes += "WAVEfmt ";
  put(16, 4);
  put(1, 2);
  put(channels, 2);
  put(static_cast<std::uint32_t>(rate), 4);
  put(static_cast<std::uint32_t>(rate) * channels * 2, 4);
  put(channels * 2, 2);
  put(16, 2);
  bytes += "data";
  put(data, 4);
  for (int i = 0; i < samples.frames(); ++i) {
    for (int c = 0; c < samples.channels(); ++c) {
      const float x = samples[c][static_cast<std::size_t>(i)];
      const auto value = std::lround(std::clamp(x * 32768.0F, -32768.0F, 32767.0F));
      put(static_cast<std::uint32_t>(value), 2);
    }
  }
  return write_text(path, bytes);
}

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || std::filesystem::is_directory(path)) {
    return Error{path + ": cannot be read: " +
                 std::strerror(std::filesystem::is_directory(path) ? EISDIR : errno)};
  }
  text << file.rdbuf();
  return text.str();
}

Status write_text(const std::string& path, const std::string& text) {
  const std::string beside = path + ".part";
  {
    std::ofstream file(beside, std::ios::binary | std::ios::trunc);
    file << text;
    file.flush();
    if (!file) return Error{path + ": cannot be written: " + std::strerror(errno)};
  }
  std::error_code failed;
  std::filesystem::rename(beside, path, failed);
  if (failed) return Error{path + ": cannot be written: " + failed.message()};
  return {};
}

}  // namespace conclave::bench::echo
