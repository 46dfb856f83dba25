// SPDX-License-Identifier: Apache-2.0
#include "control/calls/tunnel_way.h"

#include <curl/curl.h>
#include <netdb.h>

#include <array>
#include <chrono>

#include "base/log.h"
#include "control/errors/catalogue.h"
#include "control/errors/classify.h"

namespace conclave::control {
namespace {

constexpr std::chrono::milliseconds kProbe{400};
constexpr std::chrono::milliseconds kConnect{4000};

/// The tunnel is one thing to whoever reads the message; what lies before it has its own.
Error classify(const media::turn::StreamFailure& failure, const Error& error) {
  if (failure.curl_code != 0) {
    TransferFailure transfer;
    transfer.curl_code = failure.curl_code;
    transfer.os_errno = failure.os_errno;
    transfer.connect_code = failure.connect_code;
    transfer.via_proxy = failure.via_proxy;
    transfer.proxy_step = failure.via_proxy && failure.connect_code != 200 && !failure.handshaken;
    transfer.detail = failure.detail;
    Error classified = classify_transfer(transfer);
    // A proxy that says no to this one destination (502, 504) is up: then it is the tunnel server.
    const bool about_proxy =
        classified.id.rfind("PROXY-", 0) == 0 && failure.connect_code / 100 != 5;
    if (about_proxy || classified.id == "TLS-955") return classified;
  }
  return catalogue_error("SIG-902", error.message);
}

Result<std::string> literal_of(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) {
    return catalogue_error("NET-953");
  }
  std::array<char, NI_MAXHOST> text{};
  getnameinfo(list->ai_addr, list->ai_addrlen, text.data(), text.size(), nullptr, 0,
              NI_NUMERICHOST);
  freeaddrinfo(list);
  return std::string(text.data());
}

}  // namespace

std::string_view name_of(Route route) { return route == Route::kDirect ? "direct" : "tunnel"; }

TunnelMode parse_tunnel_mode(std::string_view text) {
  if (text == "Always") return TunnelMode::kAlways;
  return text == "Never" ? TunnelMode::kNever : TunnelMode::kAutomatic;
}

bool direct_way_open(const TunnelWay& way) {
  return way.probe_port == 0 || media::turn::probe_udp(way.host, way.probe_port, kProbe);
}

Result<TunnelPaths> open_tunnel(const TunnelWay& way, const std::string& sip_host, int sip_port,
                                media::turn::TurnTunnel::Lost lost) {
  media::turn::TunnelConfig config;
  config.server.host = way.host;
  config.server.port = way.port;
  config.server.ca_file = way.ca_file;
  config.server.proxy = way.proxy;
  config.server.proxy_user = way.proxy_user;
  config.server.proxy_password = way.proxy_password;
  config.server.timeout = kConnect;
  config.username = way.username;
  config.password = way.password;
  media::turn::StreamFailure failure;
  TunnelPaths out;
  auto media = media::turn::TurnTunnel::open(config, std::move(lost), &failure);
  if (!media) return classify(failure, media.error());
  out.media = std::move(*media);
  CONCLAVE_TRY(const std::string address, literal_of(sip_host, sip_port));
  bool peer_unreachable = false;
  auto path = media::turn::open_tcp_path(config, {address, static_cast<std::uint16_t>(sip_port)},
                                         &failure, &peer_unreachable);
  if (!path) {
    if (peer_unreachable) return catalogue_error("SIG-903", path.error().message);
    return classify(failure, path.error());
  }
  auto forwarder = media::turn::TcpForwarder::start(std::move(*path));
  if (!forwarder) return catalogue_error("SIG-902", forwarder.error().message);
  out.sip = std::move(*forwarder);
  return out;
}

}  // namespace conclave::control
