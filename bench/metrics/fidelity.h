// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/metrics/signals.h"

namespace conclave::bench::metrics {

/// Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., ICASSP 2019), means removed.
double si_sdr(SignalView truth, SignalView x);

/// The same after allowing any filter of 16 ms between truth and x, half of it acausal: forgives a
/// high-pass's phase and fractional delays, as BSS-Eval does (Vincent et al., IEEE TASLP 14(4),
/// 2006).
double fir_sdr(SignalView truth, SignalView x, int rate);

/// Short-time objective intelligibility of x against the clean truth, and its extended form.
/// NaN when less than 30 frames (0.4 s) of speech are there.
struct Intelligibility {
  double stoi = 0;   ///< Taal et al., IEEE TASLP 19(7), 2011
  double estoi = 0;  ///< Jensen and Taal, IEEE/ACM TASLP 24(11), 2016
};
Intelligibility intelligibility(SignalView truth, SignalView x, int rate);

}  // namespace conclave::bench::metrics
