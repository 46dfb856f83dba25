// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/result.h"

namespace conclave::control {

/// What is known about a request that did not get an answer.
struct TransferFailure {
  int curl_code = 0;        ///< CURLcode
  long os_errno = 0;        ///< CURLINFO_OS_ERRNO; 0: none
  bool via_proxy = false;   ///< a proxy is configured
  bool proxy_step = false;  ///< the proxy was not yet passed (CURLINFO_HTTP_CONNECTCODE != 200)
  long connect_code = 0;    ///< answer of the proxy to CONNECT; 0: none
  bool connected = false;   ///< the TCP connection to the server stood
  std::string_view detail;  ///< libcurl's text, for people who look closer
};

/// The catalogue's entry for a failed request: 950-957 network, 955 TLS, 958-963 proxy, 982 for
/// redirects.
Error classify_transfer(const TransferFailure& failure);

/// The same for a failed SIP call: 903, with 955 for a server that could not be verified.
/// `code` and `detail` as in media::SignallingEvent.
Error classify_sip(int code, std::string_view reason, std::string_view detail);

}  // namespace conclave::control
