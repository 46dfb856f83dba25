// SPDX-License-Identifier: Apache-2.0
#include "service/files.h"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace conclave::service {

Result<std::string> read_file(const std::string& path, std::size_t max_bytes, bool* missing) {
  std::ifstream in(path, std::ios::binary);
  *missing = !in && errno == ENOENT;
  if (!in) return Error{"Cannot read " + path + ": " + std::strerror(errno)};
  std::string text(max_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_bytes) {
    return Error{path + " is longer than " + std::to_string(max_bytes) + " bytes"};
  }
  return text;
}

}  // namespace conclave::service
