// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "control/phone/phone.h"

namespace conclave::control {

/// The phone's methods for scripts on the same machine: a UNIX socket (mode 0600) that takes one
/// JSON-RPC request a line and answers one a line. Whoever may open it is trusted. At most 8
/// clients; a line of at most 64 KiB.
class LocalDoor {
 public:
  static Result<std::unique_ptr<LocalDoor>> open(const std::string& path, Phone& phone);
  virtual ~LocalDoor() = default;  ///< closes and removes the socket
};

/// Name of the socket in a phone's data folder.
std::string local_door_path(const std::string& data_folder);

/// The other side: sends one request and gives the answer's text. Errors: no phone there.
Result<std::string> ask_local_door(const std::string& path, const std::string& request,
                                   int timeout_ms = 10000);

}  // namespace conclave::control
