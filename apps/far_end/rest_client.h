// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "service/protocol/messages.h"

namespace conclave::apps {

/// The client's side of call control, one blocking request at a time. One thread.
class RestClient {
 public:
  /// `address` as Dvms.Server.Address; `ca_file` vouches for the server.
  RestClient(std::string address, std::string ca_file);
  ~RestClient();

  /// Keeps the token for everything else.
  Status login(const service::protocol::LoginRequest& request);
  Result<service::protocol::JoinResponse> join(const service::protocol::JoinRequest& request);
  Status mute(const std::string& conference, const std::string& participant, bool muted);
  Status mute_all(const std::string& conference, bool muted);
  Status leave(const std::string& conference, const std::string& participant);
  Result<service::protocol::Roster> roster(const std::string& conference);
  Result<service::protocol::Roster> poll_roster(const std::string& conference, std::uint64_t since,
                                                int wait_seconds);
  /// Any other request below the address, as docs/service-protocol.md has them.
  Result<std::string> command(const char* method, const std::string& path, const std::string& body);
  const std::string& token() const { return token_; }

 private:
  /// The body of a good answer; the service's own message and catalogue id otherwise.
  Result<std::string> ask(const char* method, const std::string& path, const std::string& body,
                          int timeout_s = 10);
  struct State;
  const std::string address_;
  const std::string ca_file_;
  std::string token_;
  std::unique_ptr<State> state_;
};

}  // namespace conclave::apps
