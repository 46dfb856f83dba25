// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "media/turn/turn_tcp.h"
#include "media/turn/turn_tunnel.h"

namespace conclave::control {

/// Which way a call's sound and signalling go.
enum class Route : std::uint8_t {
  kDirect,
  kTunnel,  ///< both through the tunnel server
};
std::string_view name_of(Route route);

enum class TunnelMode : std::uint8_t { kAutomatic, kAlways, kNever };
TunnelMode parse_tunnel_mode(std::string_view text);

/// The tunnel server that the service offered for a call, and the way to it.
struct TunnelWay {
  std::string host;
  int port = 0;
  int probe_port = 0;  ///< answers STUN over UDP; 0: none
  std::string username, password;
  std::string ca_file;
  std::string proxy, proxy_user, proxy_password;  ///< as RestConfig
};

/// Whether UDP reaches the service and its answer the phone. Blocks, at most 0.4 s; where there is
/// nothing to ask, the direct way is held to be open.
bool direct_way_open(const TunnelWay& way);

/// Both halves of a call's way through the tunnel server.
struct TunnelPaths {
  std::unique_ptr<media::turn::TurnTunnel> media;
  std::unique_ptr<media::turn::TcpForwarder> sip;  ///< a local port that leads to the SIP server
};
/// Blocks, at most some seconds. Errors: SIG-902 when the tunnel server cannot be reached or
/// refuses, the proxy's own (958 to 963), TLS-955 for its certificate, SIG-903 when only the SIP
/// server is out of its reach.
Result<TunnelPaths> open_tunnel(const TunnelWay& way, const std::string& sip_host, int sip_port,
                                media::turn::TurnTunnel::Lost lost);

}  // namespace conclave::control
