// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace conclave::media {

/// The SIP library's resolver asks DNS alone. This is what the machine's own table adds: the
/// address of a name in a hosts file's text, IPv4 before IPv6; "localhost" is 127.0.0.1 without
/// being there (RFC 6761). Empty when the name is not known.
std::string find_in_hosts(std::string_view name, std::string_view hosts_text);

/// The URI with its host replaced by the address that /etc/hosts has for it; empty when it has
/// none.
std::string with_local_address(const std::string& uri);

}  // namespace conclave::media
