// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace conclave::service {

/// `bytes` from the system's random generator, as lower-case hexadecimal text.
std::string random_hex(std::size_t bytes);
/// Lower-case hexadecimal.
std::string sha256_hex(std::string_view text);
/// Compares digests of both, so that the time taken tells neither content nor length.
bool same_secret(std::string_view a, std::string_view b);

class Store;

/// Who holds a bearer token.
struct Session {
  std::uint64_t id = 0;  ///< never 0, never used twice; safe in logs, unlike the token
  std::string serial{};
  std::string display_name{};
};

/// Bearer tokens of 256 random bits with an expiry. Only their SHA-256 digests are kept and looked
/// up: what lies in memory opens nothing, and the time of a look-up tells nothing of use about a
/// token. Bounded: the oldest go when there are too many in all or for one serial number. Any
/// thread.
class TokenStore {
 public:
  /// With `store`, tokens outlive this process; it must outlive this object.
  TokenStore(const Clock& clock, int lifetime_s, Store* store = nullptr);

  struct Issued {
    std::string token{};
    int expires_in_s = 0;
    std::uint64_t session = 0;
  };
  Issued issue(std::string_view serial, std::string_view display_name);
  /// A new token of the same session, for who holds one that still counts; the old one counts for
  /// kOldTokenSeconds more at most, so that what is on its way arrives. Empty: unknown or expired.
  std::optional<Issued> renew(std::string_view token);
  static constexpr int kOldTokenSeconds = 60;
  /// Empty when unknown or expired.
  std::optional<Session> find(std::string_view token) const;
  void revoke_serial(std::string_view serial);

  static constexpr std::size_t kMaxTokens = 4096;
  static constexpr std::size_t kMaxTokensOfOne = 8;

 private:
  using Digest = std::array<std::uint8_t, 32>;
  struct Entry {
    Session session{};
    std::int64_t expires_ns = 0;
  };
  using Entries = std::map<Digest, Entry>;
  static Digest digest(std::string_view token);
  void erase(Entries::iterator at);

  const Clock& clock_;
  const int lifetime_s_;
  Store* const store_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::uint64_t next_ = 1;
};

/// Counts failures by key within a sliding window. Any thread. Bounded: the keys least recently
/// seen are forgotten first.
class FailureLimiter {
 public:
  FailureLimiter(const Clock& clock, int allowed, int window_s)
      : clock_(clock), allowed_(allowed), window_ns_(std::int64_t{window_s} * 1'000'000'000) {}

  /// Seconds to wait, 0: go ahead.
  int blocked_for_s(const std::string& key) const;
  void failed(const std::string& key);

 private:
  static constexpr std::size_t kMaxKeys = 4096;
  const Clock& clock_;
  const int allowed_;
  const std::int64_t window_ns_;
  mutable std::mutex mutex_;
  std::map<std::string, std::deque<std::int64_t>> failures_;
};

}  // namespace conclave::service
