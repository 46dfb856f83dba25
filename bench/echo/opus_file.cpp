// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/opus_file.h"

#include <sndfile.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace conclave::bench::echo {
namespace {

// libsndfile writes into memory through these.
struct Memory {
  std::string bytes;
  std::size_t at = 0;
};
Memory& of(void* user) { return *static_cast<Memory*>(user); }
sf_count_t length(void* user) { return static_cast<sf_count_t>(of(user).bytes.size()); }
sf_count_t tell(void* user) { return static_cast<sf_count_t>(of(user).at); }
sf_count_t seek(sf_count_t offset, int from, void* user) {
  Memory& memory = of(user);
  const auto base = from == SEEK_SET   ? 0
                    : from == SEEK_CUR ? static_cast<sf_count_t>(memory.at)
                                       : length(user);
  memory.at = static_cast<std::size_t>(std::max<sf_count_t>(0, base + offset));
  return tell(user);
}
sf_count_t read(void* to, sf_count_t count, void* user) {
  Memory& memory = of(user);
  const auto there = memory.bytes.size() - std::min(memory.at, memory.bytes.size());
  const auto taken = std::min(static_cast<std::size_t>(count), there);
  std::memcpy(to, memory.bytes.data() + memory.at, taken);
  memory.at += taken;
  return static_cast<sf_count_t>(taken);
}
sf_count_t write(const void* from, sf_count_t count, void* user) {
  Memory& memory = of(user);
  const auto size = static_cast<std::size_t>(count);
  memory.bytes.resize(std::max(memory.bytes.size(), memory.at + size));
  std::memcpy(memory.bytes.data() + memory.at, from, size);
  memory.at += size;
  return count;
}

}  // namespace

Result<std::string> opus_file(std::span<const float> samples, int rate, int kilobits) {
  SF_VIRTUAL_IO memory_io{length, seek, read, write, tell};
  SF_INFO info{};
  info.samplerate = rate;
  info.channels = 1;
  info.format = SF_FORMAT_OGG | SF_FORMAT_OPUS;
  Memory memory;
  std::unique_ptr<SNDFILE, int (*)(SNDFILE*)> file(
      sf_open_virtual(&memory_io, SFM_WRITE, &info, &memory), sf_close);
  if (!file) return Error{std::string("Opus cannot be written: ") + sf_strerror(nullptr)};
  // The library takes 0 for 256 and 1 for 6 kbit/s.
  double level = 1.0 - (std::clamp(kilobits, 6, 256) - 6) / 250.0;
  sf_command(file.get(), SFC_SET_COMPRESSION_LEVEL, &level, sizeof(level));
  const auto frames = static_cast<sf_count_t>(samples.size());
  if (sf_writef_float(file.get(), samples.data(), frames) != frames)
    return Error{std::string("Opus cannot be written: ") + sf_strerror(file.get())};
  file.reset();
  return std::move(memory.bytes);
}

}  // namespace conclave::bench::echo
