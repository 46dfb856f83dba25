// SPDX-License-Identifier: Apache-2.0
#include "bench/room/wav.h"

#include <sndfile.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace conclave::bench::room {
namespace {
using File = std::unique_ptr<SNDFILE, int (*)(SNDFILE*)>;
}

Status write_wav(const std::string& path, ConstFrameView signal, int sample_rate) {
  SF_INFO info{};
  info.samplerate = sample_rate;
  info.channels = signal.channels();
  info.format = SF_FORMAT_WAV | SF_FORMAT_FLOAT;
  const File file(sf_open(path.c_str(), SFM_WRITE, &info), sf_close);
  if (!file) return Error{path + " cannot be written: " + sf_strerror(nullptr)};
  const auto channels = static_cast<std::size_t>(signal.channels());
  constexpr int kChunk = 4096;
  std::vector<float> chunk(channels * kChunk);
  for (int first = 0; first < signal.frames(); first += kChunk) {
    const int count = std::min(kChunk, signal.frames() - first);
    for (int c = 0; c < signal.channels(); ++c) {
      const auto row = signal.columns(first, count)[c];
      for (std::size_t i = 0; i < row.size(); ++i)
        chunk[i * channels + static_cast<std::size_t>(c)] = row[i];
    }
    if (sf_writef_float(file.get(), chunk.data(), count) != count)
      return Error{path + " cannot be written: " + sf_strerror(file.get())};
  }
  return {};
}

Result<FrameBuffer> read_wav(const std::string& path, int& sample_rate) {
  SF_INFO info{};
  const File file(sf_open(path.c_str(), SFM_READ, &info), sf_close);
  if (!file) return Error{path + " cannot be read: " + sf_strerror(nullptr)};
  if (info.frames > INT32_MAX) return Error{path + " is too long"};
  sample_rate = info.samplerate;
  FrameBuffer signal(info.channels, static_cast<int>(info.frames));
  const auto channels = static_cast<std::size_t>(info.channels);
  std::vector<float> all(channels * static_cast<std::size_t>(info.frames));
  if (sf_readf_float(file.get(), all.data(), info.frames) != info.frames)
    return Error{path + " is shorter than its header says"};
  for (std::size_t c = 0; c < channels; ++c) {
    const auto row = signal[static_cast<int>(c)];
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = all[i * channels + c];
  }
  return signal;
}

}  // namespace conclave::bench::room
