// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace conclave::control {

/// One file with a checksum that survives a power cut at any moment: written to a temporary file,
/// fsync, the old one kept as `PATH.last-good`, rename, fsync of the folder. Not thread-safe.
///
/// The first line is `conclave-store 1 sha256=HEX bytes=N`; the content follows.
class Store {
 public:
  enum class Source { kNone, kCurrent, kLastGood };
  struct Loaded {
    Source source = Source::kNone;  ///< kNone: nothing readable; `content` is empty
    std::string content;
    std::string note;  ///< what was wrong with what was not read; empty when all is well
  };

  /// The folder must exist.
  explicit Store(std::string path) : path_(std::move(path)) {}

  /// Never fails: a damaged file gives the last good one, and that failing nothing.
  Loaded load() const;
  Status save(std::string_view content);
  const std::string& path() const { return path_; }

  /// The bytes that go to disk for `content`.
  static std::string seal(std::string_view content);
  /// The content of sealed bytes, or why they are not whole.
  static Result<std::string> open_sealed(std::string_view bytes);

 private:
  std::string path_;
};

}  // namespace conclave::control
