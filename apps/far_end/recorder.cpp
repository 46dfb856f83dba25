// SPDX-License-Identifier: Apache-2.0
#include "apps/far_end/recorder.h"

#include <sndfile.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

namespace conclave::apps {

struct Recorder::File {
  SNDFILE* handle = nullptr;
  ~File() {
    if (handle != nullptr) sf_close(handle);
  }
};

Result<std::unique_ptr<Recorder>> Recorder::create(const std::string& folder,
                                                   const std::string& name) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::string path = folder + "/" + name + ".wav";
  SF_INFO info{};
  info.samplerate = 48000;
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_FLOAT;
  auto file = std::make_unique<File>();
  file->handle = sf_open(path.c_str(), SFM_WRITE, &info);
  if (file->handle == nullptr) {
    return Error{"Cannot write " + path + ": " + sf_strerror(nullptr) +
                 "; choose another --record"};
  }
  // The header is right at any moment: whoever kills us keeps what is there.
  sf_command(file->handle, SFC_SET_UPDATE_HEADER_AUTO, nullptr, SF_TRUE);
  return std::unique_ptr<Recorder>(new Recorder(std::move(file), folder + "/" + name + ".json"));
}

Recorder::Recorder(std::unique_ptr<File> file, std::string sidecar)
    : file_(std::move(file)), sidecar_(std::move(sidecar)) {
  thread_ = std::thread([this] {
    while (!stopping_.load()) {
      drain();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    drain();
  });
}

Recorder::~Recorder() { finish(); }

void Recorder::push(const AudioFrame& frame, std::int64_t start_ns) {
  if (start_ns_.load(std::memory_order_relaxed) == 0) start_ns_.store(start_ns);
  if (!frames_.try_push(frame)) dropped_.fetch_add(1);
}

void Recorder::drain() {
  bool first = samples_ == 0;
  while (const AudioFrame* frame = frames_.begin_pop()) {
    samples_ += sf_write_float(file_->handle, frame->data.data(), frame->samples);
    frames_.end_pop();
    if (std::exchange(first, false)) write_sidecar();  // early, for whoever reads along
  }
}

void Recorder::write_sidecar() {
  const nlohmann::json text = {{"start_ns", start_ns_.load()},
                               {"sample_rate", 48000},
                               {"samples", samples_},
                               {"dropped_frames", dropped_.load()}};
  std::ofstream(sidecar_ + ".new") << text.dump() << "\n";
  std::error_code ignored;
  std::filesystem::rename(sidecar_ + ".new", sidecar_, ignored);
}

void Recorder::finish() {
  if (std::exchange(finished_, true)) return;
  stopping_.store(true);
  thread_.join();
  file_.reset();
  write_sidecar();
}

}  // namespace conclave::apps
