// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "bench/echo/record.h"

namespace conclave::bench::echo {

enum class ReportKind {
  kAudio,     ///< with sound to listen to
  kPictures,  ///< without it
  kNone,      ///< no report
};

struct ReportOptions {
  ReportKind kind = ReportKind::kAudio;
  double megabytes = 20;  ///< sound is left out where the page would become larger
  std::function<void(std::int64_t, std::int64_t)> progress;  ///< items done, of all
};

/// Writes FOLDER/report.html from what is in the folder: one page that asks for nothing from
/// outside. Every system's sound is moved onto the microphone's time and matched in level: to the
/// near talker's where there is one.
Status write_report(const Store& store, const RunPlan& plan, const ReportOptions& options);

}  // namespace conclave::bench::echo
