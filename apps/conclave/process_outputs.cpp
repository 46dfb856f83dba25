// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/process_outputs.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace conclave::apps {
namespace {

using Json = nlohmann::ordered_json;

// Below this a track is remembered, not talking.
constexpr float kTalking = 0.3F;

Status write_json(const std::string& path, const Json& json) {
  CONCLAVE_TRY(auto file, TextFile::create(path));
  const std::string text = json.dump(1) + "\n";
  std::fwrite(text.data(), 1, text.size(), file.get());
  return file.finish();
}

// To 1/100: what a level is worth, and short to read.
double rounded(double value) { return std::round(value * 100.0) / 100.0; }

}  // namespace

Result<TextFile> TextFile::create(const std::string& path) {
  TextFile text;
  text.path_ = path;
  text.file_.reset(std::fopen(path.c_str(), "we"));
  if (text.file_ == nullptr) return Error{path + ": cannot be written; check the folder"};
  return text;
}

Status TextFile::finish() {
  if (file_ == nullptr) return {};
  const bool failed = std::ferror(file_.get()) != 0;
  if (std::fclose(file_.release()) != 0 || failed) {
    return Error{path_ + ": cannot be written to its end; is the disk full?"};
  }
  return {};
}

void write_tracks_header(std::FILE* file) {
  std::fputs("t_seconds,azimuth_deg,elevation_deg,id,activity\n", file);
}

void write_tracks(std::FILE* file, double t, const engine::EngineMetrics& metrics) {
  for (const auto& track : metrics.tracks) {
    if (track.id == 0 || track.activity < kTalking) continue;
    std::fprintf(file, "%.3f,%.2f,%.2f,%d,%.3f\n", t, static_cast<double>(track.azimuth_deg),
                 static_cast<double>(track.elevation_deg), track.id,
                 static_cast<double>(track.activity));
  }
}

void write_sync_header(std::FILE* file) {
  std::fputs("t_seconds,satellite,ppm,latency_ms,gain_db\n", file);
}

void write_sync(std::FILE* file, double t, int satellites, const engine::EngineMetrics& metrics) {
  for (int s = 0; s < satellites; ++s) {
    const auto& satellite = metrics.satellites[static_cast<std::size_t>(s)];
    if (!satellite.offset_known) continue;
    std::fprintf(file, "%.3f,%d,%.2f,%.3f,%.2f\n", t, s, static_cast<double>(satellite.ppm),
                 static_cast<double>(satellite.offset_ms),
                 static_cast<double>(satellite.sensitivity_db));
  }
}

Status write_beams(const std::string& path, const engine::Engine& engine) {
  const auto weights = engine.beams().export_current();
  const auto mics = engine.geometry().ring;
  Json json;
  json["freqs"] = weights.frequencies_hz;
  json["pos"] = Json::array();
  for (const auto& p : mics) json["pos"].push_back({p.x, p.y, p.z});
  json["look"] = {weights.look.x, weights.look.y, weights.look.z};
  Json& w = json["w"] = Json::array();
  for (std::size_t f = 0; f < weights.frequencies_hz.size(); ++f) {
    Json row = Json::array();
    for (std::size_t m = 0; m < mics.size(); ++m) {
      const auto value = weights.weights[f * mics.size() + m];
      row.push_back({value.real(), value.imag()});
    }
    w.push_back(std::move(row));
  }
  CONCLAVE_TRY(auto file, TextFile::create(path));
  const std::string text = json.dump() + "\n";
  std::fwrite(text.data(), 1, text.size(), file.get());
  return file.finish();
}

Status write_metrics(const std::string& path, const engine::Engine& engine,
                     const engine::EngineMetrics& m, const RunReport& report) {
  const auto db = [](float value) { return rounded(static_cast<double>(value)); };
  Json json;
  json["sample_rate"] = engine.sample_rate();
  json["latency_ms"] = 1000.0 * engine.latency_frames() / engine.sample_rate();
  json["seconds"] = report.audio_seconds;
  json["blocks"] = m.blocks;
  json["real_time_factor"] =
      report.audio_seconds > 0 ? report.cpu_seconds / report.audio_seconds : 0.0;
  json["cpu_us_per_10ms"] = {{"p50", report.cpu->percentile(0.5F)},
                             {"p99", report.cpu->percentile(0.99F)},
                             {"p9999", report.cpu->percentile(0.9999F)},
                             {"max", report.cpu->max_us()}};
  json["violations"] = report.violations;
  json["mics"] = Json::array();
  for (std::size_t c = 0; c < static_cast<std::size_t>(m.mic_count); ++c) {
    json["mics"].push_back({{"rms_dbfs", db(m.mic_rms_db[c])},
                            {"peak_dbfs", db(m.mic_peak_db[c])},
                            {"clips", m.mic_clips[c]}});
  }
  json["sent"] = {{"rms_dbfs", db(m.sent_rms_db)}, {"peak_dbfs", db(m.sent_peak_db)}};
  if (engine.chain() != engine::Chain::kArray) {
    json["echo"] = {{"erle_db", db(m.erle_db)},
                    {"linear_erle_db", db(m.linear_erle_db)},
                    {"residual_dbfs", db(m.residual_echo_db)},
                    {"delay_ms", db(m.aec_delay_ms)},
                    {"delay_confidence", db(m.aec_delay_confidence)},
                    {"delay_jumps", m.aec_delay_jumps},
                    {"reference_held_back_ms", db(m.aec_applied_delay_ms)},
                    {"drift_ppm", db(m.aec_drift_ppm)},
                    {"resampling", m.aec_resampling},
                    {"path_changes", m.aec_path_changes},
                    {"misfits", m.aec_misfits},
                    {"recoveries", m.aec_recoveries},
                    {"tonality", db(m.aec_tonality)},
                    {"filter_norm_db", db(m.aec_filter_norm_db)},
                    {"near_probability", db(m.near_probability)},
                    {"echo_likeness", db(m.echo_likeness)},
                    {"leakage_db", db(m.leakage_db)},
                    {"suppressor_gain_db", db(m.suppressor_gain_db)}};
  }
  if (engine.chain() != engine::Chain::kEcho) {
    json["direction"] = {{"azimuth_deg", db(m.azimuth_deg)},
                         {"elevation_deg", db(m.elevation_deg)},
                         {"activity", db(m.activity)}};
    json["level"] = {{"agc_gain_db", db(m.agc_gain_db)},
                     {"limiter_gain_db", db(m.limiter_gain_db)}};
    json["satellites"] = Json::array();
    for (std::size_t s = 0; s < static_cast<std::size_t>(engine.satellites()); ++s) {
      const auto& satellite = m.satellites[s];
      json["satellites"].push_back({{"ppm", db(satellite.ppm)},
                                    {"latency_ms", db(satellite.offset_ms)},
                                    {"gain_db", db(satellite.sensitivity_db)},
                                    {"buffer_ms", db(satellite.latency_ms)},
                                    {"share_db", db(satellite.gain_db)},
                                    {"synced", satellite.synced},
                                    {"underruns", satellite.underruns}});
    }
  }
  if (report.has_shadow) json["shadow_sum_error_db"] = rounded(report.shadow_sum_error_db);
  return write_json(path, json);
}

Result<TapFiles> TapFiles::create(const std::string& dir, const engine::Engine& engine,
                                  const engine::Taps& taps) {
  TapFiles files;
  if (taps.count() == 0) return files;
  CONCLAVE_CHECK_STATUS(make_folder(dir));
  for (int t = 0; t < taps.count(); ++t) {
    CONCLAVE_TRY(auto writer, drivers::AudioFileWriter::create(dir + "/" + taps.name(t) + ".wav", 1,
                                                               engine.sample_rate()));
    files.writers_.push_back(std::move(writer));
  }
  return files;
}

void TapFiles::drain(engine::Taps& taps) noexcept {
  for (std::size_t t = 0; t < writers_.size(); ++t) {
    while (taps.read(static_cast<int>(t), frame_)) {
      writers_[t]->write(ConstFrameView(frame_.data.data(), 1, frame_.samples));
    }
  }
}

Status TapFiles::finish() {
  for (auto& writer : writers_) CONCLAVE_CHECK_STATUS(writer->finish());
  return {};
}

Status make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Error{path + ": cannot be made: " + error.message()};
  return {};
}

}  // namespace conclave::apps
