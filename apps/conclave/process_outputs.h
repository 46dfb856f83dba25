// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "drivers/file/audio_file.h"
#include "engine/cpu_histogram.h"
#include "engine/engine.h"

namespace conclave::apps {

/// A text file that is written line by line and tells at its end whether all of it arrived.
class TextFile {
 public:
  static Result<TextFile> create(const std::string& path);
  std::FILE* get() const { return file_.get(); }
  Status finish();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

/// T.csv: t_seconds,azimuth_deg,elevation_deg,id,activity; one line for each talker who talks.
void write_tracks_header(std::FILE* file);
void write_tracks(std::FILE* file, double t, const engine::EngineMetrics& metrics);

/// S.csv: t_seconds,satellite,ppm,latency_ms,gain_db: the satellite's own clock, lateness and
/// sensitivity against the ring, as found in the sound; no line before they are.
void write_sync_header(std::FILE* file);
void write_sync(std::FILE* file, double t, int satellites, const engine::EngineMetrics& metrics);

/// W.json: the beam's weights as they are now.
Status write_beams(const std::string& path, const engine::Engine& engine);

/// What M.json tells beside the engine's own metrics.
struct RunReport {
  double audio_seconds = 0;
  double cpu_seconds = 0;
  const engine::CpuHistogram* cpu = nullptr;
  std::uint64_t violations = 0;
  bool has_shadow = false;
  double shadow_sum_error_db = 0;
};
Status write_metrics(const std::string& path, const engine::Engine& engine,
                     const engine::EngineMetrics& metrics, const RunReport& report);

/// DIR/<tap>.wav for each tap of the engine.
class TapFiles {
 public:
  static Result<TapFiles> create(const std::string& dir, const engine::Engine& engine,
                                 const engine::Taps& taps);
  /// Takes what the taps have.
  void drain(engine::Taps& taps) noexcept;
  Status finish();

 private:
  std::vector<std::unique_ptr<drivers::AudioFileWriter>> writers_;
  AudioFrame frame_;
};

/// Makes a folder with its parents.
Status make_folder(const std::string& path);

}  // namespace conclave::apps
