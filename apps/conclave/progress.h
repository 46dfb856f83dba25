// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace conclave::apps {

/// Progress of long work on standard error: a bar with the time left on a terminal, a plain line
/// every tenth elsewhere, nothing when quiet.
class Progress {
 public:
  Progress(std::string what, std::int64_t total, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Cheap enough for every block.
  void update(std::int64_t done);
  /// The last update; a bar is closed with a new line.
  void finish();

 private:
  void draw_bar(double fraction, double seconds);

  std::string what_;
  std::int64_t total_;
  bool quiet_;
  bool terminal_;
  std::int64_t begin_ns_;
  std::int64_t drawn_ns_ = 0;
  int tenth_ = 0;
  bool drawn_ = false;
};

}  // namespace conclave::apps
