// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"

struct sockaddr_un;

namespace conclave::control {

/// Name of the socket in a phone's data folder.
std::string local_door_path(const std::string& data_folder);
/// False when the path is too long for a socket.
bool local_door_address(const std::string& path, sockaddr_un* address);

/// Sends one JSON-RPC request to the phone behind the socket and gives the answer's text. Errors:
/// no phone there, no answer in time.
Result<std::string> ask_local_door(const std::string& path, const std::string& request,
                                   int timeout_ms = 10000);

}  // namespace conclave::control
