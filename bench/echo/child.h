// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::bench::echo {

/// Splits a command line at spaces; '...' and "..." hold words together, \ takes the next character
/// as it is. No shell: nothing else has a meaning.
Result<std::vector<std::string>> split_command(const std::string& line);
/// Replaces every {key} in every word.
void fill_in(std::vector<std::string>& words, const std::string& key, const std::string& value);

struct ChildResult {
  double cpu_seconds = 0;
  std::string output;  ///< standard output
};
/// Runs a program without a shell: standard input from the file `input` (empty: nothing), ended
/// with its group after `seconds` or when `stop` is set. An error tells how it ended, with the last
/// line of its standard error. Any thread.
Result<ChildResult> run_child(const std::vector<std::string>& words, const std::string& input,
                              double seconds, const std::atomic<bool>& stop);

/// A folder of its own under the system's place for such, removed at the end.
class TempFolder {
 public:
  static Result<TempFolder> create();
  ~TempFolder();
  TempFolder(TempFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TempFolder& operator=(TempFolder&& other) noexcept;
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  explicit TempFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace conclave::bench::echo
