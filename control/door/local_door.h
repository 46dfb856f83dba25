// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "control/phone/phone.h"

namespace conclave::control {

/// The phone's methods for scripts on the same machine: a UNIX socket (mode 0600) that takes one
/// JSON-RPC request a line and answers one a line. Whoever may open it is trusted. At most 8
/// clients; a line of at most 2 MiB (configuration files).
class LocalDoor {
 public:
  static Result<std::unique_ptr<LocalDoor>> open(const std::string& path, Phone& phone);
  virtual ~LocalDoor() = default;  ///< closes and removes the socket
};

}  // namespace conclave::control
