// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace conclave::apps {

/// Mono audio and when it happened. All times are CLOCK_MONOTONIC of one machine.
struct TimedRecording {
  std::vector<float> samples;
  int sample_rate = 48000;
  std::int64_t start_ns = 0;  ///< when the first sample sounded

  double seconds() const { return static_cast<double>(samples.size()) / sample_rate; }
  std::int64_t end_ns() const { return start_ns + static_cast<std::int64_t>(seconds() * 1e9); }
};

/// A stretch of time, [begin, end).
struct Interval {
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
};

/// How late `received` repeats `source`, one figure for each window in which the source speaks and
/// the match is beyond doubt, in milliseconds.
///
/// Generalised cross-correlation with phase transform (Knapp & Carter 1976) over 300 to 3800 Hz in
/// windows of one second, four a second. The method does not look at any time stamp in between, so
/// everything on the way counts: converters, engine, codec, jitter buffers, mixer.
Result<std::vector<double>> delays_ms(const TimedRecording& source, const TimedRecording& received,
                                      double longest_ms = 500.0);

/// The value below which `share` (0..1) of the values lie; 0 when there are none.
double percentile(std::vector<double> values, double share);

/// Where a signal is louder than `below_peak_db` under its loud parts, in 20 ms steps, gaps up to
/// `bridge_ms` closed.
std::vector<Interval> active_intervals(const TimedRecording& recording, double below_peak_db = 40.0,
                                       double bridge_ms = 200.0);

struct EchoReduction {
  double raw_db = 0.0;        ///< level of echo at the raw microphone, noise taken off, dBFS
  double sent_db = 0.0;       ///< level of what is left of it in what was sent, dBFS
  double reduction_db = 0.0;  ///< the difference; a lower bound where sent fell to its noise floor
  double seconds = 0.0;       ///< far-end-only time that was measured
};

/// Echo at the microphone against echo in what was sent, over the time in which the loudspeaker
/// speaks and nobody in the room does, from `settle_seconds` of loudspeaker speech on. The noise of
/// either signal (measured where nobody speaks at all) is subtracted as power, so that noise
/// suppression is not counted as echo reduction.
Result<EchoReduction> echo_reduction(const TimedRecording& raw, const TimedRecording& sent,
                                     const TimedRecording& loudspeaker,
                                     std::span<const Interval> near_speech,
                                     double settle_seconds = 5.0);

/// Where the phone believed the talker to be, or where the talker was.
struct DirectionSample {
  std::int64_t time_ns = 0;
  double azimuth_deg = 0.0;
  bool speaking = false;
};

struct DirectionScore {
  double share_within = 0.0;  ///< of the true speech frames, 0..1
  double median_error_deg = 0.0;
  int frames = 0;
};

/// For each true frame of speech (one talker), the newest belief at that time within
/// `tolerance_deg`? Both lists in order of time.
DirectionScore direction_score(std::span<const DirectionSample> truth,
                               std::span<const DirectionSample> believed,
                               double tolerance_deg = 10.0);

}  // namespace conclave::apps
