// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace conclave {

/// Files that survive a power cut at any moment: a new file, fsync, rename over the old one, fsync
/// of the folder. Not for two writers of one path at once. Errors name the file and the reason.

/// Puts `bytes` in the place of what `path` holds, or leaves that: through `path`.new.
Status write_durably(const std::string& path, std::string_view bytes, mode_t mode = 0600);

/// The two halves of it, for a writer with something to do in between: `path` written anew and
/// flushed, with exactly this mode whatever was there …
Status write_and_flush(const std::string& path, std::string_view bytes, mode_t mode = 0600);
/// … and put in the place of `path`.
Status move_durably(const std::string& from, const std::string& path);

/// Renames and deletions in the folder are on the disk when this returns.
Status flush_folder(const std::string& folder);

}  // namespace conclave
