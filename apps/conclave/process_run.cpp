// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/process_run.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "apps/conclave/process_inputs.h"
#include "apps/conclave/process_outputs.h"
#include "apps/conclave/progress.h"
#include "base/realtime.h"
#include "drivers/file/audio_file.h"
#include "engine/profile.h"
#include "engine/shadow.h"

namespace conclave::apps {
namespace {

using drivers::AudioFileReader;
using drivers::AudioFileWriter;

constexpr int kSyncEveryBlocks = 10;

/// One component of the recording through the frozen decisions.
struct ShadowLine {
  std::unique_ptr<CaptureFiles> files;  // null: fed with what the canceller removed
  std::unique_ptr<engine::Shadow> shadow;
  std::unique_ptr<AudioFileWriter> writer;
  FrameBuffer capture;
  FrameBuffer out;
};

/// All components, and how far their sum is from what was sent.
class Shadows {
 public:
  static Result<Shadows> create(const ProcessOptions& options, const engine::Engine& engine,
                                const engine::Profile& profile, std::int64_t frames) {
    Shadows shadows;
    if (options.shadow.empty()) return shadows;
    CONCLAVE_CHECK_STATUS(make_folder(options.shadow_out));
    for (const auto& component : options.shadow) {
      CONCLAVE_TRY(auto files, CaptureFiles::open(component.path, component.satellites_path,
                                                  profile, options.chain == engine::Chain::kEcho));
      if (files->sample_rate() != engine.sample_rate() || files->frames() != frames) {
        return Error{component.path + ": must have the rate and the length of --mics"};
      }
      CONCLAVE_CHECK_STATUS(shadows.add(options, engine, component.name, std::move(files)));
    }
    if (options.chain != engine::Chain::kArray) {
      CONCLAVE_CHECK_STATUS(shadows.add(options, engine, "echo_removed", nullptr));
      CONCLAVE_TRY(shadows.added_, AudioFileWriter::create(options.shadow_out + "/added.wav", 1,
                                                           engine.sample_rate()));
    }
    shadows.sum_ = FrameBuffer(1, engine.hop());
    return shadows;
  }

  bool process(const engine::Engine& engine, ConstFrameView sent, int keep) noexcept {
    if (lines_.empty()) return true;
    const auto decided = engine.decisions();
    sum_.clear();
    bool good = true;
    for (auto& line : lines_) {
      const FrameView capture = line.capture.view();
      if (line.files != nullptr) {
        good = line.files->read(capture.rows(0, line.files->channels())) && good;
      } else {
        negate(decided.echo_removed, capture);
      }
      line.shadow->process(decided, capture, line.out);
      for (std::size_t i = 0; i < sum_[0].size(); ++i) sum_[0][i] += line.out[0][i];
      line.writer->write(line.out.view().columns(0, keep));
    }
    const auto rest = sum_[0];
    for (std::size_t i = 0; i < rest.size(); ++i) {
      rest[i] = sent[0][i] - rest[i];
      sent_energy_ += static_cast<double>(sent[0][i]) * static_cast<double>(sent[0][i]);
      rest_energy_ += static_cast<double>(rest[i]) * static_cast<double>(rest[i]);
    }
    if (added_ != nullptr) added_->write(sum_.view().columns(0, keep));
    return good;
  }

  Status finish() {
    for (auto& line : lines_) CONCLAVE_CHECK_STATUS(line.writer->finish());
    if (added_ != nullptr) CONCLAVE_CHECK_STATUS(added_->finish());
    return {};
  }
  bool any() const { return !lines_.empty(); }
  double sum_error_db() const {
    return 10.0 * std::log10((rest_energy_ + 1e-30) / (sent_energy_ + 1e-30));
  }

 private:
  Status add(const ProcessOptions& options, const engine::Engine& engine, const std::string& name,
             std::unique_ptr<CaptureFiles> files) {
    ShadowLine line;
    line.files = std::move(files);
    CONCLAVE_TRY(line.shadow, engine::Shadow::create(engine));
    CONCLAVE_TRY(line.writer, AudioFileWriter::create(options.shadow_out + "/" + name + ".wav", 1,
                                                      engine.sample_rate()));
    line.capture = FrameBuffer(engine.microphones(), engine.hop());
    line.out = FrameBuffer(1, engine.hop());
    lines_.push_back(std::move(line));
    return {};
  }
  static void negate(ConstFrameView from, FrameView to) noexcept {
    for (int c = 0; c < from.channels(); ++c) {
      std::ranges::transform(from[c], to[c].begin(), std::negate<>());
    }
  }

  std::vector<ShadowLine> lines_;
  std::unique_ptr<AudioFileWriter> added_;
  FrameBuffer sum_;
  double sent_energy_ = 0;
  double rest_energy_ = 0;
};

Result<engine::Profile> choose_profile(const ProcessOptions& options) {
  if (!options.profile.empty()) return engine::load_profile(options.profile);
  if (options.chain == engine::Chain::kEcho) return engine::single_microphone_profile();
  CONCLAVE_TRY(auto mics, AudioFileReader::open(options.mics));
  if (mics->channels() == 1) return engine::single_microphone_profile();
  return Error{options.mics + ": has " + std::to_string(mics->channels()) +
               " channels; give their places by --profile"};
}

// Chains without what an option shows.
Status check_options(const ProcessOptions& options) {
  if (options.chain == engine::Chain::kEcho &&
      (!options.tracks.empty() || !options.sync.empty() || !options.beams.empty())) {
    return Error{"--chain echo has no beams: --tracks, --sync and --beams need another chain"};
  }
  return {};
}

}  // namespace

Status run_process(const ProcessOptions& options) {
  CONCLAVE_CHECK_STATUS(check_options(options));
  CONCLAVE_TRY(auto profile, choose_profile(options));
  const bool first_only = options.chain == engine::Chain::kEcho;
  if (first_only) profile = engine::single_microphone_profile();
  CONCLAVE_TRY(auto input,
               CaptureFiles::open(options.mics, options.satellites, profile, first_only));
  if (!input->has_satellites()) profile.geometry.satellites.clear();
  std::unique_ptr<AudioFileReader> far_file;
  if (!options.far.empty()) {
    CONCLAVE_TRY(far_file,
                 AudioFileReader::open(options.far, {.sample_rate = input->sample_rate()}));
    if (far_file->channels() > engine::kMaxReferences) {
      return Error{options.far + ": has " + std::to_string(far_file->channels()) +
                   " channels, but a reference has one for each loudspeaker, 1 to " +
                   std::to_string(engine::kMaxReferences)};
    }
  }

  engine::EngineConfig config;
  config.sample_rate = input->sample_rate();
  config.geometry = profile.geometry;
  config.chain = options.chain;
  config.reference = engine::Reference::kFarEnd;
  if (far_file != nullptr) config.references = far_file->channels();
  config.satellite_clock = engine::SatelliteClock::kRecording;
  config.raw_gain = options.raw_gain;
  if (!options.learned.empty()) {
    const bool both = options.learned == "both";
    config.params.learned_echo_mask = both || options.learned == "echo";
    config.params.learned_noise_mask = both || options.learned == "noise";
  }
  config.taps = options.taps;
  CONCLAVE_TRY(auto engine, engine::Engine::create(config));

  CONCLAVE_TRY(auto out, AudioFileWriter::create(options.out, 1, config.sample_rate));
  CONCLAVE_TRY(auto taps, TapFiles::create(options.taps_out, *engine, engine->taps()));
  CONCLAVE_TRY(auto shadows, Shadows::create(options, *engine, profile, input->frames()));
  std::optional<TextFile> tracks;
  std::optional<TextFile> sync;
  if (!options.tracks.empty()) {
    CONCLAVE_TRY(tracks, TextFile::create(options.tracks));
    write_tracks_header(tracks->get());
  }
  if (!options.sync.empty()) {
    CONCLAVE_TRY(sync, TextFile::create(options.sync));
    write_sync_header(sync->get());
  }

  const int hop = engine->hop();
  FrameBuffer capture(engine->microphones(), hop);
  FrameBuffer far(config.references, hop);
  FrameBuffer playback(config.references, hop);
  FrameBuffer send(1, hop);
  engine::CpuHistogram cpu;
  engine::EngineMetrics metrics;
  RunReport report;
  Progress progress("process", input->frames(), options.quiet);
  realtime::flush_denormals();

  for (std::int64_t at = 0; at < input->frames(); at += hop) {
    if (!input->read(capture) || (far_file != nullptr && far_file->read(far) < 0)) {
      return Error{options.mics + ": cannot be read to its end; did a file change meanwhile?"};
    }
    const std::int64_t begin = realtime::thread_cpu_ns();
    {
      const realtime::Scope scope;
      engine->process(capture, far, input->satellites().synced(), playback, send);
    }
    const auto spent = static_cast<double>(realtime::thread_cpu_ns() - begin);
    cpu.add(static_cast<float>(spent * 1e-3));
    report.cpu_seconds += spent * 1e-9;

    const int keep = static_cast<int>(std::min<std::int64_t>(hop, input->frames() - at));
    if (!out->write(send.view().columns(0, keep))) break;  // finish() tells why
    if (!shadows.process(*engine, send, keep)) {
      return Error{"a --shadow recording cannot be read to its end; did it change meanwhile?"};
    }
    taps.drain(engine->taps());
    metrics = engine->metrics();
    input->satellites().fill(metrics);
    const double t = static_cast<double>(at) / config.sample_rate;
    if (tracks) write_tracks(tracks->get(), t, metrics);
    if (sync && metrics.blocks % kSyncEveryBlocks == 1) {
      write_sync(sync->get(), t, engine->satellites(), metrics);
    }
    progress.update(at + keep);
  }
  progress.finish();

  CONCLAVE_CHECK_STATUS(out->finish());
  CONCLAVE_CHECK_STATUS(taps.finish());
  CONCLAVE_CHECK_STATUS(shadows.finish());
  if (tracks) CONCLAVE_CHECK_STATUS(tracks->finish());
  if (sync) CONCLAVE_CHECK_STATUS(sync->finish());
  if (!options.beams.empty()) CONCLAVE_CHECK_STATUS(write_beams(options.beams, *engine));
  if (!options.metrics.empty()) {
    report.audio_seconds = static_cast<double>(input->frames()) / config.sample_rate;
    report.cpu = &cpu;
    report.violations = realtime::violations();
    report.has_shadow = shadows.any();
    report.shadow_sum_error_db = shadows.sum_error_db();
    CONCLAVE_CHECK_STATUS(write_metrics(options.metrics, *engine, metrics, report));
  }
  return {};
}

}  // namespace conclave::apps
