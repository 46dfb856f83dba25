// SPDX-License-Identifier: Apache-2.0
#include "control/errors/classify.h"

#include <curl/curl.h>

#include <cerrno>
#include <string>

#include "control/errors/catalogue.h"

namespace conclave::control {
namespace {

std::string_view network_id(const TransferFailure& f) {
  switch (f.curl_code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return "NET-953";
    case CURLE_COULDNT_CONNECT:
      switch (f.os_errno) {
        case ETIMEDOUT:
          return "NET-952";
        case ENETUNREACH:
        case EHOSTUNREACH:
        case ENETDOWN:
        case EADDRNOTAVAIL:
          return "NET-956";
        default:
          return "NET-950";
      }
    case CURLE_OPERATION_TIMEDOUT:
      // A server that took the connection and says nothing is given up by us; one that never
      // answers at all is the network's timeout.
      return f.connected ? "NET-954" : "NET-952";
    case CURLE_ABORTED_BY_CALLBACK:
      return "NET-954";
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
      return "NET-951";
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
      return f.os_errno == ENETUNREACH || f.os_errno == EHOSTUNREACH || f.os_errno == ENETDOWN
                 ? "NET-956"
                 : "NET-951";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_USE_SSL_FAILED:
      return "TLS-955";
    case CURLE_TOO_MANY_REDIRECTS:
      return "JOIN-982";
    default:
      return "NET-957";
  }
}

std::string_view proxy_id(const TransferFailure& f) {
  switch (f.curl_code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
      return "PROXY-960";
    case CURLE_COULDNT_CONNECT:
      return f.os_errno == ETIMEDOUT ? "PROXY-961" : "PROXY-958";
    case CURLE_OPERATION_TIMEDOUT:
      return "PROXY-961";
    case CURLE_GOT_NOTHING:
      return "PROXY-959";
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PROXY:
      if (f.connect_code == 407) return "PROXY-962";
      return f.connect_code == 0 ? "PROXY-959" : "PROXY-963";
    default:
      return "PROXY-963";
  }
}

bool mentions(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

}  // namespace

Error classify_transfer(const TransferFailure& failure) {
  if (failure.via_proxy &&
      (failure.proxy_step || failure.curl_code == CURLE_COULDNT_RESOLVE_PROXY)) {
    return catalogue_error(failure.connect_code == 407 ? "PROXY-962" : proxy_id(failure));
  }
  const std::string_view id = network_id(failure);
  // The reason of a failed handshake (expired, unknown CA, wrong name) is what the remedy needs.
  const bool tell = id == "TLS-955" || id == "NET-957";
  return catalogue_error(id, tell ? failure.detail : std::string_view{});
}

Error classify_sip(int code, std::string_view reason, std::string_view detail) {
  if (mentions(detail, "certificate") || mentions(detail, "TLS") || mentions(detail, "verif")) {
    return catalogue_error("TLS-955", detail);
  }
  switch (code) {
    case 404:
    case 410:
    case 604:
      return catalogue_error("JOIN-NOTFOUND");
    case 401:
    case 403:
    case 407:
      return catalogue_error("JOIN-978");
    case 486:
    case 600:
      return catalogue_error("JOIN-983");
    default:
      break;
  }
  if (code == 0 || code == 408 || code == 503) return catalogue_error("SIG-903");
  if (code >= 500) return catalogue_error("SVC-TEMP", std::to_string(code));
  return catalogue_error("JOIN-984", std::to_string(code) + " " + std::string(reason));
}

}  // namespace conclave::control
