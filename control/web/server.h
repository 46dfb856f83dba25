// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/state/state_tree.h"
#include "control/web/http.h"

namespace conclave::control::web {

struct ServerConfig {
  std::string address = "127.0.0.1";  ///< IP literal; 0.0.0.0 or :: for all
  int port = 8443;                    ///< 0: a free one
  std::string certificate_file, key_file;
  std::vector<std::string> names;  ///< host names to answer to
  std::size_t max_body = 64 * 1024;
  std::size_t max_message = 64 * 1024;  ///< of a WebSocket client
  int max_connections = 256;
  int max_sockets = 64;
  int max_in_flight = 16;  ///< requests of one WebSocket client that wait for an answer
};

/// What the transport needs from the phone beside HTTP. Called on the web thread.
class SocketHandler {
 public:
  virtual ~SocketHandler() = default;
  /// A JSON-RPC text; `reply` takes the answer, or an empty text for none; once, on any thread.
  virtual void message(const std::string& session, const std::string& address, std::string text,
                       std::function<void(std::string)> reply) = 0;
  /// Whether the login behind an open socket still holds; asked each second.
  virtual bool session_alive(const std::string& session) = 0;
};

/// HTTPS and WebSocket on libwebsockets, on a thread of its own. Transport only.
///
/// It never queues for a slow client: each WebSocket client has the answers to at most
/// max_in_flight requests, the newest state (StateFollower) and the newest meter frame. The state
/// tree must outlive it.
class Server {
 public:
  /// Listens before it returns. Errors: address in use, certificate unreadable.
  static Result<std::unique_ptr<Server>> create(const ServerConfig& config, StateTree& state,
                                                Handler& handler, SocketHandler& sockets);
  virtual ~Server() = default;  ///< stops

  virtual int port() const = 0;
  /// The newest meter frame, to all clients. Any thread.
  virtual void publish_meters(std::string frame) = 0;
  /// Runs a function on the web thread soon. Any thread.
  virtual void post(std::function<void()> task) = 0;
  /// WebSocket clients now. Any thread.
  virtual int sockets() const = 0;
};

}  // namespace conclave::control::web
