// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "drivers/audio_device.h"
#include "drivers/file/audio_file.h"

namespace conclave::drivers {

struct FileDeviceConfig {
  std::string capture_path{};
  AudioFileExpectation expected{};  ///< 0 = as the file is
  std::string playback_path{};      ///< empty: what is played is dropped
  int playback_channels = 0;        ///< with an empty playback_path: how many are pretended
};

/// A sound card made of files, as fast as it is asked: replaying a recording through the phone's
/// own audio thread. The last block is filled up with zeros; then kEnd. capture_time_ns counts from
/// 0 with the samples, so nothing depends on the time of day.
class FileDevice final : public AudioDevice {
 public:
  static Result<std::unique_ptr<FileDevice>> create(const FileDeviceConfig& config);

  const AudioFormat& format() const noexcept override { return format_; }
  std::string name() const override { return capture_->path(); }
  Status start() override;
  void stop() noexcept override;
  IoStatus read(FrameView capture, IoInfo& info) noexcept override;
  IoStatus write(ConstFrameView playback) noexcept override;
  /// One period for each call, so that a satellite's file advances with the ring's.
  int read_available(FrameView capture) noexcept override;
  IoStatus recover() noexcept override { return IoStatus::kEnd; }

 private:
  FileDevice(std::unique_ptr<AudioFileReader> capture, std::unique_ptr<AudioFileWriter> playback,
             const AudioFormat& format);

  std::unique_ptr<AudioFileReader> capture_;
  std::unique_ptr<AudioFileWriter> playback_;
  AudioFormat format_;
  std::int64_t position_ = 0;
};

}  // namespace conclave::drivers
