// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::control {

/// What a DHCP server has told, as far as provisioning cares: what the network layer hands over
/// after each lease.
struct LeaseOptions {
  std::string domain;                  ///< option 15; empty: none
  std::vector<std::string> dns;        ///< option 6: address, or address:port
  std::map<int, std::string> options;  ///< raw bytes by number: 43, 66, 160
};
/// {"domain"?: text, "dns"?: [text], "options"?: {"66": text, "43": "hex:0A0B…"}}: UTF-8 text, or
/// bytes after "hex:". Errors say what is wrong. Any thread.
Result<LeaseOptions> parse_lease_options(const nlohmann::json& json);

/// A server that the local network announces.
struct LocalServer {
  std::string address;  ///< https
  std::string found_by;
  bool console = false;  ///< a redirect console, not a provisioning server
};
/// Addresses of provisioning servers in the options, in this order: 160, 66, 43. An option holds an
/// address (https://host/path) or a host alone, which stands for https://HOST/provisioning; option
/// 43 may hold sub-options (RFC 2132), of which 1 is meant. What cannot be used is told in `notes`.
std::vector<LocalServer> servers_of(const LeaseOptions& lease, std::vector<std::string>* notes);

/// Whether this can be asked for configurations: https, host, no user, password, query or fragment.
bool usable_server_address(const std::string& address);

}  // namespace conclave::control
