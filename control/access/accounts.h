// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "control/settings/registry.h"

namespace conclave::control {

/// The administrator's account: the same for web interface, touch screen and shell.
class Accounts {
 public:
  explicit Accounts(const Registry& registry) : registry_(&registry) {}

  /// Takes some 20 ms, whatever is wrong. Any thread.
  bool check(std::string_view user, std::string_view password) const;
  /// True while the factory password is in force.
  bool must_change_password() const;

 private:
  const Registry* registry_;
};

/// Slows down guessing: after kFree wrong passwords from one address each further one costs a wait
/// that doubles from kFirst to kLongest. Any thread.
class Lockout {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int kFree = 5;
  static constexpr std::chrono::seconds kFirst{5}, kLongest{900}, kForget{3600};
  static constexpr std::size_t kMaxAddresses = 1024;

  /// Seconds the address has to wait still; 0: may try. Rounded up.
  int wait_seconds(const std::string& address, Clock::time_point now = Clock::now());
  void failed(const std::string& address, Clock::time_point now = Clock::now());
  void succeeded(const std::string& address);

 private:
  struct Entry {
    int failures = 0;
    Clock::time_point until{}, last{};
  };
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

/// Logins that are open. Any thread.
class Sessions {
 public:
  using Clock = std::chrono::steady_clock;
  struct Session {
    std::string user;
    std::string address;
    Clock::time_point last{};
  };
  static constexpr std::size_t kMaxSessions = 64;

  /// The new session's token: 256 random bits. The oldest goes when there are too many.
  std::string open(const std::string& user, const std::string& address,
                   Clock::time_point now = Clock::now());
  /// The session of a token, if it lives; `touch` counts as activity.
  std::optional<Session> find(std::string_view token, bool touch,
                              Clock::time_point now = Clock::now());
  void close(std::string_view token);
  /// All but one: after a change of password.
  void close_others(std::string_view keep);
  std::size_t count(Clock::time_point now = Clock::now());
  void set_idle_timeout(std::chrono::seconds timeout);

 private:
  void expire(Clock::time_point now);
  std::mutex mutex_;
  std::map<std::string, Session, std::less<>> sessions_;  // by SHA-256 of the token
  std::chrono::seconds idle_{1800};
};

}  // namespace conclave::control
