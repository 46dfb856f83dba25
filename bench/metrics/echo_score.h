// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/metrics/signals.h"

namespace conclave::bench::metrics {

/// Who talks in a recording without truth.
enum class Talk { kFar, kDouble, kNear, kNobody };

/// One recording and what is known about it. All signals have mic's length; those that are not
/// known are empty.
struct EchoCase {
  int rate = 16000;
  Talk talk = Talk::kFar;
  Signal mic;
  Signal far;
  bool has_truth = false;  ///< near, echo and noise are known (silent ones: zeros)
  Signal near;
  Signal echo;
  Signal noise;
  std::optional<double> change_seconds;  ///< where the echo path changes
};

/// A measured value; empty: the thing waited for never came (time to 20 dB).
using Scores = std::vector<std::pair<std::string, std::optional<double>>>;

/// What a metric is, for tables and for comparing.
struct MetricInfo {
  const char* name;
  const char* title;
  const char* unit;
  int better;  ///< +1 more, -1 less, 0: as near to zero as possible or neither
  int digits;
  const char* meaning;
};
/// Those that EchoJudge gives, in the order of tables.
const std::vector<MetricInfo>& echo_metrics();

/// Judges outputs of one recording. What the outputs have in common (activity, the microphone's own
/// scores) is measured once. "Far only" frames of 20 ms: echo and no near talker within 0.1 s
/// before or 0.3 s after. Without truth the reference says, up to 0.2 s late, when echo can exist.
class EchoJudge {
 public:
  explicit EchoJudge(EchoCase recording);

  struct Verdict {
    Scores scores;
    int lag = 0;  ///< samples by which the output was late; taken off before all else
    Signal aligned;
    std::vector<double> erle_time;  ///< seconds, every 0.1 s, where echo is
    std::vector<double> erle_db;    ///< over 0.5 s around
  };
  /// `out`: any length (cut or filled up with zeros); finite.
  Verdict judge(SignalView out) const;

  const EchoCase& recording() const { return case_; }
  const FrameMask& far_only() const { return far_only_; }

 private:
  std::optional<double> erle(SignalView out, const FrameMask& mask, double from, double to) const;
  std::optional<std::optional<double>> time_to_20_db(SignalView out, double start) const;
  void judge_far_only(SignalView out, Scores& scores) const;
  void judge_double_talk(SignalView out, Scores& scores) const;
  void judge_near_only(const Verdict& verdict, Scores& scores) const;
  void judge_noise(SignalView out, Scores& scores) const;

  EchoCase case_;
  int frame_;
  std::vector<double> mic_powers_;
  FrameMask far_only_;
  FrameMask near_only_;
  FrameMask both_;
  FrameMask both_wide_;
  FrameMask idle_;
  Scores double_talk_in_;  // the microphone's own
};

}  // namespace conclave::bench::metrics
