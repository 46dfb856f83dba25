// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::service {

/// Starts a server that belongs to this program (`command`: program with its path, then arguments;
/// `name`: for the message when it cannot be started), its output in the file `log`. It is killed
/// when the thread that called this ends, so that none is left over. The caller waits for it.
Result<pid_t> start_server_child(const std::string& name, const std::vector<std::string>& command,
                                 const std::string& log);

}  // namespace conclave::service
