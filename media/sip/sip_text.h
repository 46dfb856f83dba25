// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "media/sip/signalling.h"

namespace conclave::media {

/// Small pieces of SIP's grammar (RFC 3261, 25.1), so that nothing from outside can add a header.

/// "conference.example" of "sip:room@conference.example:5061;transport=tls"; brackets of IPv6
/// literals are taken off. Empty when it is no SIP URI.
std::string sip_host(std::string_view uri);
/// A host in a URI: IPv6 literals get brackets.
std::string bracketed(const std::string& host);
/// A quoted-string with quotes and backslashes escaped and control characters left out.
std::string quoted(std::string_view text);
/// The text without control characters, at most 256 bytes.
std::string header_safe(std::string_view text);
/// "Name: value" lines; entries whose name is no token are left out.
std::string header_lines(const std::vector<SipHeader>& headers);

Status check_invite(const SipInvite& invite);
Status check_signalling_config(const SignallingConfig& config);

}  // namespace conclave::media
