// SPDX-License-Identifier: Apache-2.0
#include "control/access/accounts.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "control/access/password.h"

namespace conclave::control {
namespace {

/// Tokens are looked up by their hash, so that the time a look-up takes tells nothing about them.
std::string digest(std::string_view token) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int length = 0;
  EVP_Digest(token.data(), token.size(), out.data(), &length, EVP_sha256(), nullptr);
  return {reinterpret_cast<const char*>(out.data()), length};
}

}  // namespace

bool Accounts::check(std::string_view user, std::string_view password) const {
  const std::string stored = registry_->get_text(Key::kAccessAdminPassword);
  const bool name_ok = equal_constant_time(registry_->get_text(Key::kAccessAdminUser), user);
  bool password_ok = false;
  if (looks_hashed(stored)) {
    password_ok = verify_password(stored, password);
  } else {
    // The factory value is no hash; the same work is done so that the time tells nothing.
    if (auto hash = hash_password(password)) password_ok = equal_constant_time(stored, password);
  }
  return name_ok && password_ok;
}

bool Accounts::must_change_password() const {
  return !looks_hashed(registry_->get_text(Key::kAccessAdminPassword));
}

int Lockout::wait_seconds(const std::string& address, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(address);
  if (found == entries_.end() || found->second.until <= now) return 0;
  return static_cast<int>(
      std::chrono::ceil<std::chrono::seconds>(found->second.until - now).count());
}

void Lockout::failed(const std::string& address, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [now](const auto& e) { return now - e.second.last > kForget; });
  if (entries_.size() >= kMaxAddresses && !entries_.contains(address)) {
    entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](auto& a, auto& b) {
      return a.second.last < b.second.last;
    }));
  }
  Entry& entry = entries_[address];
  entry.last = now;
  if (++entry.failures < kFree) return;
  const int doublings = std::min(entry.failures - kFree, 10);
  entry.until = now + std::min<std::chrono::seconds>(kFirst * (1 << doublings), kLongest);
}

void Lockout::succeeded(const std::string& address) {
  const std::lock_guard lock(mutex_);
  entries_.erase(address);
}

std::string Sessions::open(const std::string& user, const std::string& address,
                           Clock::time_point now) {
  std::string token = random_token(32);
  if (token.empty()) return token;
  const std::lock_guard lock(mutex_);
  expire(now);
  if (sessions_.size() >= kMaxSessions) {
    sessions_.erase(std::min_element(sessions_.begin(), sessions_.end(), [](auto& a, auto& b) {
      return a.second.last < b.second.last;
    }));
  }
  sessions_[digest(token)] = {user, address, now};
  return token;
}

std::optional<Sessions::Session> Sessions::find(std::string_view token, bool touch,
                                                Clock::time_point now) {
  if (token.empty() || token.size() > 128) return std::nullopt;
  const std::lock_guard lock(mutex_);
  expire(now);
  const auto found = sessions_.find(digest(token));
  if (found == sessions_.end()) return std::nullopt;
  if (touch) found->second.last = now;
  return found->second;
}

void Sessions::close(std::string_view token) {
  const std::lock_guard lock(mutex_);
  sessions_.erase(digest(token));
}

void Sessions::close_others(std::string_view keep) {
  const std::string kept = digest(keep);
  const std::lock_guard lock(mutex_);
  std::erase_if(sessions_, [&](const auto& e) { return e.first != kept; });
}

std::size_t Sessions::count(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  expire(now);
  return sessions_.size();
}

void Sessions::set_idle_timeout(std::chrono::seconds timeout) {
  const std::lock_guard lock(mutex_);
  idle_ = timeout;
}

void Sessions::expire(Clock::time_point now) {
  std::erase_if(sessions_, [&](const auto& e) { return now - e.second.last > idle_; });
}

}  // namespace conclave::control
