// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "control/loop/loop.h"
#include "control/phone/phone.h"
#include "control/web/server.h"
#include "control/web/static_files.h"

namespace conclave::control::web {

/// What is behind the web server's paths: login, files, recordings, metrics, and the way from the
/// WebSocket to the phone's methods.
class Portal final : public Handler, public SocketHandler {
 public:
  Portal(Phone& phone, StaticFiles files);
  ~Portal() override;

  void handle(const Request& request, Respond respond) override;
  int accept_socket(const Request& request) override;
  void message(const std::string& session, const std::string& address, std::string text,
               std::function<void(std::string)> reply) override;
  bool session_alive(const std::string& session) override;

 private:
  void login(const Request& request, const Respond& respond);
  void recording(const Request& request, bool raw, const Respond& respond);
  void metrics(const Request& request, const Respond& respond);

  Phone* phone_;
  StaticFiles files_;
  Lockout lockout_;
  // Password hashing and WAV writing take too long for the web thread.
  Loop slow_{"web-slow"};
};

/// OpenAPI 3.1 of the HTTP paths.
std::string openapi_document(const std::string& version);

}  // namespace conclave::control::web
