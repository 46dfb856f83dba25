// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "control/web/http.h"

namespace conclave::control::web {

/// The browser app's files, read into memory once: a request can name what was found at start and
/// nothing else, so there is no path to climb out of. X.gz and X.br beside X are its compressed
/// forms. Immutable after load(); any thread.
class StaticFiles {
 public:
  static constexpr std::size_t kMaxBytes = 64 << 20;

  /// An empty or missing folder leaves a page that says so.
  static StaticFiles load(const std::string& folder);
  /// 200 with the best encoding, 304, or 404. Paths without a dot get index.html: the app knows its
  /// own pages.
  Response serve(const Request& request) const;
  std::size_t count() const { return files_.size(); }

 private:
  struct File {
    std::string type, etag;
    bool immutable = false;
    std::shared_ptr<const std::string> plain, gzip, brotli;
  };
  std::map<std::string, File, std::less<>> files_;
};

}  // namespace conclave::control::web
