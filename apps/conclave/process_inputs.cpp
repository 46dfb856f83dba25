// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/process_inputs.h"

namespace conclave::apps {
namespace {

std::string count_of(int channels) {
  return std::to_string(channels) + (channels == 1 ? " channel" : " channels");
}

}  // namespace

Result<std::unique_ptr<CaptureFiles>> CaptureFiles::open(const std::string& mics,
                                                         const std::string& satellites,
                                                         const engine::Profile& profile,
                                                         bool first_only) {
  std::unique_ptr<CaptureFiles> files(new CaptureFiles);
  CONCLAVE_TRY(files->mics_, drivers::AudioFileReader::open(mics));
  files->hop_ = files->mics_->sample_rate() / 100;
  files->ring_ = first_only ? 1 : profile.ring_mics();
  const int there = files->mics_->channels();
  const int known = first_only ? 0 : profile.satellites();
  if (!satellites.empty() && !first_only) {
    if (known == 0) {
      return Error{satellites + ": the profile knows no satellites; add them to it"};
    }
    CONCLAVE_TRY(files->extra_,
                 drivers::AudioFileReader::open(
                     satellites, {.channels = known, .sample_rate = files->mics_->sample_rate()}));
    files->satellites_count_ = known;
  } else if (known > 0 && there == files->ring_ + known) {
    files->satellites_count_ = known;
  }
  const int wanted = files->ring_ + (files->extra_ != nullptr ? 0 : files->satellites_count_);
  if (!first_only && there != wanted) {
    std::string message = mics + ": has " + count_of(there) + ", but the profile has " +
                          std::to_string(files->ring_) + " in the ring";
    if (known > 0) message += " and " + std::to_string(known) + " satellites";
    return Error{message + "; use the profile that belongs to the recording"};
  }
  CONCLAVE_TRY(files->inputs_,
               engine::SatelliteInputs::create(files->mics_->sample_rate(), files->hop_,
                                               files->satellites_count_));
  return files;
}

bool CaptureFiles::read(FrameView capture) noexcept {
  const FrameView rows = capture.rows(ring_, satellites_count_);
  if (extra_ != nullptr) {
    if (mics_->read(capture.rows(0, ring_)) < 0 || extra_->read(rows) < 0) return false;
  } else if (mics_->read(capture) < 0) {
    return false;
  }
  if (satellites_count_ == 0) return true;
  for (int s = 0; s < satellites_count_; ++s) inputs_->push(s, rows.rows(s, 1));
  inputs_->pull(rows);
  return true;
}

}  // namespace conclave::apps
