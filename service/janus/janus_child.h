// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace conclave::service {

/// Where Debian's package `janus` put things.
struct JanusInstallation {
  std::string program;      ///< janus
  std::string audiobridge;  ///< libjanus_audiobridge.so
  std::string http;         ///< libjanus_http.so
};
/// An error says what to install.
Result<JanusInstallation> find_janus();

/// One Janus process of our own, reachable on loopback only: configuration folder with nothing but
/// the AudioBridge plugin and the HTTP transport on a free port, guarded by a random secret. It
/// dies with the thread that started it. Not thread-safe; one thread.
class JanusChild {
 public:
  JanusChild() = default;
  ~JanusChild() { stop(); }
  JanusChild(const JanusChild&) = delete;
  JanusChild& operator=(const JanusChild&) = delete;

  /// Writes `folder` (mode 0700) and starts the program; does not wait until it answers.
  Status start(const JanusInstallation& installation, const std::string& folder);
  /// SIGTERM, then SIGKILL after two seconds. Safe to call at any time.
  void stop();
  void kill_now();
  /// False once it has ended; reaps it.
  bool alive();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_; }  ///< readable when it has ended
  const std::string& url() const { return url_; }
  const std::string& secret() const { return secret_; }

 private:
  pid_t pid_ = -1;
  int pidfd_ = -1;
  std::string url_;
  std::string secret_;
};

}  // namespace conclave::service
