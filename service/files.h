// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace conclave::service {

/// Puts a whole file in the place of the old one, or leaves the old one: a new file, fsync, rename,
/// fsync of the folder. Survives a power cut at any moment. Not for two writers at once.
Status write_file(const std::string& path, const std::string& text, mode_t mode);
/// At most `max_bytes`. Error "…: No such file or directory" when there is none; `missing` tells.
Result<std::string> read_file(const std::string& path, std::size_t max_bytes, bool* missing);

}  // namespace conclave::service
