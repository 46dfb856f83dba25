// SPDX-License-Identifier: Apache-2.0
#include "apps/demo/call_report.h"

#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "apps/demo/call_analysis.h"

namespace conclave::apps {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

Result<json> read_json(const fs::path& path) {
  std::ifstream in(path);
  if (!in) return Error{path.string() + " is missing"};
  json parsed = json::parse(in, nullptr, false);
  if (parsed.is_discarded()) return Error{path.string() + " is not JSON"};
  return parsed;
}

Result<TimedRecording> read_wav(const fs::path& path, std::int64_t start_ns) {
  SF_INFO info{};
  SNDFILE* file = sf_open(path.c_str(), SFM_READ, &info);
  if (file == nullptr) return Error{path.string() + " cannot be read: " + sf_strerror(nullptr)};
  TimedRecording recording;
  recording.sample_rate = info.samplerate;
  recording.start_ns = start_ns;
  if (info.channels == 1) {
    recording.samples.resize(static_cast<std::size_t>(info.frames));
    const sf_count_t got = sf_readf_float(file, recording.samples.data(), info.frames);
    recording.samples.resize(static_cast<std::size_t>(std::max<sf_count_t>(got, 0)));
  }
  sf_close(file);
  if (info.channels != 1) return Error{path.string() + " must have one channel"};
  return recording;
}

/// Everything the room's talkers said, from the room's start on: their loops, repeated and added.
Result<TimedRecording> all_mouths(const fs::path& directory, const json& room, double seconds) {
  TimedRecording sum;
  sum.sample_rate = room.value("sample_rate", 48000);
  sum.start_ns = room.value("start_ns", std::int64_t{0});
  sum.samples.resize(static_cast<std::size_t>(seconds * sum.sample_rate));
  for (const json& talker : room.value("talkers", json::array())) {
    CONCLAVE_TRY(const TimedRecording loop,
                 read_wav(directory / ("mouth_" + talker.value("id", "") + ".wav"), sum.start_ns));
    if (loop.samples.empty()) continue;
    for (std::size_t i = 0; i < sum.samples.size(); ++i) {
      sum.samples[i] += loop.samples[i % loop.samples.size()];
    }
  }
  return sum;
}

/// The room writes a line when something changes and one each second; what it says holds until the
/// next. Here: one sample for each 10 ms.
std::vector<DirectionSample> read_truth(const fs::path& path) {
  constexpr std::int64_t kFrame = 10'000'000;
  constexpr std::int64_t kLongestGap = 2'000'000'000;
  std::vector<DirectionSample> truth;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const json row = json::parse(line, nullptr, false);
    if (!row.is_object()) continue;
    const DirectionSample now{row.value("t_ns", std::int64_t{0}), row.value("azimuth_deg", 0.0),
                              row.value("speech", false)};
    if (!truth.empty() && now.time_ns - truth.back().time_ns < kLongestGap) {
      while (truth.back().time_ns + kFrame < now.time_ns) {
        DirectionSample same = truth.back();
        same.time_ns += kFrame;
        truth.push_back(same);
      }
    }
    truth.push_back(now);
  }
  return truth;
}

/// t_ns,azimuth_deg,activity with a heading.
std::vector<DirectionSample> read_directions(const fs::path& path) {
  std::vector<DirectionSample> believed;
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::istringstream row(line);
    DirectionSample sample;
    double activity = 0.0;
    char comma = 0;
    if (row >> sample.time_ns >> comma >> sample.azimuth_deg >> comma >> activity) {
      sample.speaking = activity > 0.5;
      believed.push_back(sample);
    }
  }
  return believed;
}

std::vector<Interval> speech_of(const std::vector<DirectionSample>& truth) {
  std::vector<Interval> speech;
  constexpr std::int64_t kFrame = 10'000'000;
  for (const auto& t : truth) {
    if (!t.speaking) continue;
    if (!speech.empty() && t.time_ns - speech.back().end_ns < 2 * kFrame) {
      speech.back().end_ns = t.time_ns + kFrame;
    } else {
      speech.push_back({t.time_ns, t.time_ns + kFrame});
    }
  }
  return speech;
}

double rounded(double value) { return std::round(value * 100.0) / 100.0; }

class Report {
 public:
  explicit Report(const CallEvidence& evidence) : evidence_(evidence) {}

  Result<json> make() {
    CONCLAVE_TRY(phone_, read_json(evidence_.phone_report));
    CONCLAVE_TRY(room_, read_json(evidence_.room_ready));
    truth_ = read_truth(evidence_.room / "truth.jsonl");
    report_ = {{"joined", phone_.value("joined", false)},
               {"seconds_to_join", rounded(evidence_.seconds_to_join)},
               {"seconds", rounded(evidence_.seconds)},
               {"engine", phone_.value("engine", json::object())},
               {"downlink", phone_.value("downlink", json::object())},
               {"violations", phone_.value("violations", 0)}};
    add_uplink();
    add_mouth_to_ear();
    add_echo();
    add_direction();
    if (phone_.contains("recordings")) {
      for (const auto& [name, recording] : phone_["recordings"].items()) {
        report_["recordings"][name] = recording.value("file", "");
      }
    }
    report_["recordings"]["heard"] = (evidence_.far_end / "played.wav").string();
    if (!missing_.empty()) report_["missing"] = missing_;
    return report_;
  }

 private:
  void miss(const std::string& what, const Error& error) { missing_[what] = error.message; }

  // What arrives at the far end is the truth about the uplink: two networks and a mixer further.
  void add_uplink() {
    report_["uplink"] = phone_.value("uplink", json::object());
    if (const auto stats = read_json(evidence_.far_end / "stats.json")) {
      report_["uplink"]["lost"] = stats->value("lost", 0);
      report_["uplink"]["concealed_ms"] = stats->value("concealed_ms", 0.0);
      report_["far_end"] = *stats;
    } else {
      miss("uplink", stats.error());
    }
  }

  void add_mouth_to_ear() {
    const auto delays = measure_delays();
    if (!delays) return miss("mouth_to_ear_ms", delays.error());
    if (delays->empty()) {
      return miss("mouth_to_ear_ms", Error{"nothing the talkers said was heard at the far end"});
    }
    const double hardware = room_["hardware_delay_ms"].value("capture", 0.0);
    report_["mouth_to_ear_ms"] = {{"p50", rounded(percentile(*delays, 0.5) - hardware)},
                                  {"p99", rounded(percentile(*delays, 0.99) - hardware)},
                                  {"windows", delays->size()},
                                  {"hardware_delay_removed_ms", hardware}};
  }
  Result<std::vector<double>> measure_delays() {
    CONCLAVE_TRY(const json times, read_json(evidence_.far_end / "played.json"));
    CONCLAVE_TRY(const TimedRecording heard, read_wav(evidence_.far_end / "played.wav",
                                                      times.value("start_ns", std::int64_t{0})));
    const double seconds =
        static_cast<double>(heard.end_ns() - room_.value("start_ns", std::int64_t{0})) * 1e-9;
    if (seconds <= 0.0 || seconds > 86400.0) return Error{"the recordings' times make no sense"};
    CONCLAVE_TRY(TimedRecording mouth, all_mouths(evidence_.room, room_, seconds));
    return delays_ms(mouth, heard);
  }

  Result<TimedRecording> phone_recording(const std::string& name) {
    const json recordings = phone_.value("recordings", json::object());
    if (!recordings.contains(name)) return Error{"the phone recorded no " + name};
    const json& one = recordings[name];
    return read_wav(one.value("file", ""), one.value("start_ns", std::int64_t{0}));
  }
  Result<EchoReduction> measure_echo() {
    CONCLAVE_TRY(const TimedRecording raw, phone_recording("raw_mic"));
    CONCLAVE_TRY(const TimedRecording sent, phone_recording("sent"));
    CONCLAVE_TRY(const TimedRecording played, phone_recording("played"));
    // The recordings hold the last half minute only, so far-end speech before them has settled
    // what there was to settle; in a short call the first 5 s of it are left out.
    const double before =
        static_cast<double>(played.start_ns - room_.value("start_ns", std::int64_t{0})) * 1e-9;
    return echo_reduction(raw, sent, played, speech_of(truth_), before > 15.0 ? 0.0 : 5.0);
  }
  void add_echo() {
    const auto echo = measure_echo();
    if (!echo) return miss("erle_db", echo.error());
    report_["erle_db"] = rounded(echo->reduction_db);
    report_["echo"] = {{"raw_dbfs", rounded(echo->raw_db)},
                       {"sent_dbfs", rounded(echo->sent_db)},
                       {"far_only_seconds", rounded(echo->seconds)}};
  }

  void add_direction() {
    const auto believed = read_directions(phone_.value("directions", ""));
    if (believed.empty() || truth_.empty()) {
      return miss("direction", Error{"no directions were recorded"});
    }
    const auto score = direction_score(truth_, believed);
    report_["direction"] = {{"share_within_10_deg", rounded(score.share_within)},
                            {"median_error_deg", rounded(score.median_error_deg)},
                            {"speech_frames", score.frames}};
  }

  const CallEvidence& evidence_;
  json phone_, room_, report_;
  json missing_ = json::object();
  std::vector<DirectionSample> truth_;
};

}  // namespace

Result<json> call_report(const CallEvidence& evidence) { return Report(evidence).make(); }

}  // namespace conclave::apps
