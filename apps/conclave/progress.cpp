// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.h"

namespace conclave::apps {
namespace {
constexpr std::int64_t kRedrawNs = 100'000'000;
constexpr int kBarWidth = 30;
}  // namespace

Progress::Progress(std::string what, std::int64_t total, bool quiet)
    : what_(std::move(what)),
      total_(std::max<std::int64_t>(total, 1)),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) != 0),
      begin_ns_(SystemClock::now()) {}

Progress::~Progress() {
  if (drawn_) std::fputc('\n', stderr);
}

void Progress::update(std::int64_t done) {
  if (quiet_) return;
  const double fraction = std::min(static_cast<double>(done) / static_cast<double>(total_), 1.0);
  if (!terminal_) {
    const int tenth = static_cast<int>(fraction * 10.0);
    if (tenth <= tenth_) return;
    tenth_ = tenth;
    std::fprintf(stderr, "%s: %d %%\n", what_.c_str(), tenth * 10);
    return;
  }
  const std::int64_t now = SystemClock::now();
  if (now - drawn_ns_ < kRedrawNs && done < total_) return;
  drawn_ns_ = now;
  draw_bar(fraction, static_cast<double>(now - begin_ns_) * 1e-9);
}

void Progress::finish() {
  update(total_);
  if (drawn_) std::fputc('\n', stderr);
  drawn_ = false;
}

void Progress::draw_bar(double fraction, double seconds) {
  const int full = static_cast<int>(fraction * kBarWidth);
  const std::string bar = std::string(static_cast<std::size_t>(full), '#') +
                          std::string(static_cast<std::size_t>(kBarWidth - full), '.');
  const double left = fraction > 0.0 ? seconds * (1.0 - fraction) / fraction : 0.0;
  std::fprintf(stderr, "\r%s [%s] %3.0f %%  %.0f s left   ", what_.c_str(), bar.c_str(),
               fraction * 100.0, left);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace conclave::apps
