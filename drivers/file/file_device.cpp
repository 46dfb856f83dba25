// SPDX-License-Identifier: Apache-2.0
#include "drivers/file/file_device.h"

#include <algorithm>

#include "base/log.h"

namespace conclave::drivers {

FileDevice::FileDevice(std::unique_ptr<AudioFileReader> capture,
                       std::unique_ptr<AudioFileWriter> playback, const AudioFormat& format)
    : capture_(std::move(capture)), playback_(std::move(playback)), format_(format) {}

Result<std::unique_ptr<FileDevice>> FileDevice::create(const FileDeviceConfig& config) {
  CONCLAVE_TRY(auto capture, AudioFileReader::open(config.capture_path, config.expected));
  AudioFormat format;
  format.sample_rate = capture->sample_rate();
  format.capture_channels = capture->channels();
  format.playback_channels = std::max(config.playback_channels, 0);
  format.period_frames = format.sample_rate / 100;
  std::unique_ptr<AudioFileWriter> playback;
  if (!config.playback_path.empty()) {
    format.playback_channels = std::max(format.playback_channels, 1);
    CONCLAVE_TRY(playback, AudioFileWriter::create(config.playback_path, format.playback_channels,
                                                   format.sample_rate));
  }
  return std::unique_ptr<FileDevice>(
      new FileDevice(std::move(capture), std::move(playback), format));
}

Status FileDevice::start() { return {}; }

void FileDevice::stop() noexcept {
  if (playback_ == nullptr) return;
  if (auto written = playback_->finish(); !written) {
    log::error("audio", written.error().message);
  }
}

IoStatus FileDevice::read(FrameView capture, IoInfo& info) noexcept {
  if (position_ >= capture_->frames() || capture_->read(capture) < 0) return IoStatus::kEnd;
  position_ += capture.frames();
  info.capture_time_ns = position_ * 1'000'000'000 / format_.sample_rate;
  info.delay_frames = 0;
  info.xruns = 0;
  return IoStatus::kOk;
}

IoStatus FileDevice::write(ConstFrameView playback) noexcept {
  if (playback_ != nullptr) playback_->write(playback);
  return IoStatus::kOk;
}

int FileDevice::read_available(FrameView capture) noexcept {
  const int count = std::min(capture.frames(), format_.period_frames);
  return capture_->read(capture.columns(0, count)) < 0 ? -1 : count;
}

}  // namespace conclave::drivers
