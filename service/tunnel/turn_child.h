// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace conclave::service {

struct TurnServerConfig {
  std::string folder{};  ///< ours alone; configuration, log and database go there
  std::string listen{};  ///< literal to listen on
  std::string
      advertise{};     ///< literal that phones reach, and that relayed media seems to come from
  int port = 0;        ///< TLS; 0: a free one
  int probe_port = 0;  ///< STUN and TURN over UDP; 0: a free one
  std::string certificate_file{}, key_file{};
  std::string peer{};    ///< the only address that may be reached through it: the focus's
  std::string secret{};  ///< shared with who hands out credentials
};

/// The tunnel for phones whose direct way is closed: a supervised coturn with a configuration of
/// its own. It relays to the focus alone, is opened by credentials that expire, and is started
/// again when it dies. Any thread.
class TurnServer {
 public:
  virtual ~TurnServer() = default;  ///< ends it
  /// Starts it and waits until it listens. An error says what is missing.
  static Result<std::unique_ptr<TurnServer>> start(const TurnServerConfig& config);
  virtual int port() const = 0;
  virtual int probe_port() const = 0;
  virtual int pid() const = 0;  ///< -1: not running at the moment
};

/// User name and password that the TURN REST API draft (draft-uberti-behave-turn-rest-00) has:
/// "expiry:name" and base64(HMAC-SHA1(secret, user name)).
struct TurnCredentials {
  std::string username{}, password{};
};
TurnCredentials turn_credentials(const std::string& secret, const std::string& name,
                                 std::int64_t expires_unix_s);

}  // namespace conclave::service
