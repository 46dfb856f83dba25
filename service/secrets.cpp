// SPDX-License-Identifier: Apache-2.0
#include "service/secrets.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "base/log.h"
#include "service/store/store.h"

namespace conclave::service {
namespace {

std::array<std::uint8_t, 32> sha256(std::string_view text) {
  std::array<std::uint8_t, 32> out{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_sha256(), nullptr);
  return out;
}

std::string hex(std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const auto byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

std::optional<std::array<std::uint8_t, 32>> from_hex(std::string_view text) {
  std::array<std::uint8_t, 32> out{};
  if (text.size() != out.size() * 2) return std::nullopt;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const char* at = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(at, at + 2, out[i], 16);
    if (error != std::errc() || end != at + 2) return std::nullopt;
  }
  return out;
}

}  // namespace

std::string random_hex(std::size_t bytes) {
  std::vector<std::uint8_t> raw(bytes);
  if (RAND_priv_bytes(raw.data(), static_cast<int>(bytes)) != 1) {
    // Without randomness no token is safe; nothing sensible can go on.
    std::fputs("conclave: the system has no random numbers\n", stderr);
    std::abort();
  }
  return hex(raw);
}

std::string sha256_hex(std::string_view text) { return hex(sha256(text)); }

bool same_secret(std::string_view a, std::string_view b) {
  const auto x = sha256(a);
  const auto y = sha256(b);
  return CRYPTO_memcmp(x.data(), y.data(), x.size()) == 0;
}

TokenStore::TokenStore(const Clock& clock, int lifetime_s, Store* store)
    : clock_(clock), lifetime_s_(lifetime_s), store_(store) {
  if (store_ == nullptr) return;
  const std::int64_t now_s = store_->now();
  for (const auto& kept : store_->sessions()) {
    const auto key = from_hex(kept.token_digest);
    if (!key) continue;
    next_ = std::max(next_, kept.session + 1);
    // A wall clock that was set back must not make a token live longer than it may.
    const std::int64_t left_s = std::min<std::int64_t>(kept.expires_s - now_s, lifetime_s_);
    entries_[*key] = {{kept.session, kept.serial, kept.display_name},
                      clock_.now_ns() + left_s * 1'000'000'000};
  }
}

void TokenStore::erase(Entries::iterator at) {
  if (store_ != nullptr) store_->remove_session(hex(at->first));
  entries_.erase(at);
}

TokenStore::Digest TokenStore::digest(std::string_view token) { return sha256(token); }

TokenStore::Issued TokenStore::issue(std::string_view serial, std::string_view display_name) {
  Issued out{random_hex(32), lifetime_s_, 0};
  const std::int64_t now = clock_.now_ns();
  const std::lock_guard lock(mutex_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto at = it++;
    if (at->second.expires_ns <= now) erase(at);
  }
  // Two bounds: nobody fills the memory, and one phone that keeps logging in pushes out its own
  // old tokens rather than other people's.
  const auto trim = [this](std::size_t allowed, auto belongs) {
    while (true) {
      std::size_t count = 0;
      auto oldest = entries_.end();
      for (auto it = entries_.begin(); it != entries_.end(); ++it) {
        if (!belongs(it->second)) continue;
        ++count;
        if (oldest == entries_.end() || it->second.session.id < oldest->second.session.id) {
          oldest = it;
        }
      }
      if (count < allowed) return;
      erase(oldest);
    }
  };
  trim(kMaxTokensOfOne, [serial](const Entry& e) { return e.session.serial == serial; });
  trim(kMaxTokens, [](const Entry&) { return true; });
  out.session = next_++;
  const Digest key = digest(out.token);
  if (store_ != nullptr) {
    const Status kept =
        store_->put_session({hex(key), out.session, std::string(serial), std::string(display_name),
                             store_->now() + lifetime_s_});
    if (!kept) log::error("service.tokens", kept.error().message);
  }
  entries_[key] = {{out.session, std::string(serial), std::string(display_name)},
                   now + std::int64_t{lifetime_s_} * 1'000'000'000};
  return out;
}

std::optional<TokenStore::Issued> TokenStore::renew(std::string_view token) {
  const Digest key = digest(token);
  Issued out{random_hex(32), lifetime_s_, 0};
  const std::int64_t now = clock_.now_ns();
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end() || it->second.expires_ns <= now) return std::nullopt;
  out.session = it->second.session.id;
  it->second.expires_ns =
      std::min(it->second.expires_ns, now + std::int64_t{kOldTokenSeconds} * 1'000'000'000);
  const Session session = it->second.session;
  const Digest fresh = digest(out.token);
  entries_[fresh] = {session, now + std::int64_t{lifetime_s_} * 1'000'000'000};
  if (store_ != nullptr) {
    const auto keep = [&](const Digest& of, std::int64_t lifetime_s) {
      const Status kept = store_->put_session(
          {hex(of), session.id, session.serial, session.display_name, store_->now() + lifetime_s});
      if (!kept) log::error("service.tokens", kept.error().message);
    };
    keep(fresh, lifetime_s_);
    keep(key, kOldTokenSeconds);
  }
  return out;
}

std::optional<Session> TokenStore::find(std::string_view token) const {
  const Digest key = digest(token);
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end() || it->second.expires_ns <= clock_.now_ns()) return std::nullopt;
  return it->second.session;
}

void TokenStore::revoke_serial(std::string_view serial) {
  const std::lock_guard lock(mutex_);
  if (store_ != nullptr) store_->remove_sessions(serial);
  std::erase_if(entries_,
                [serial](const auto& item) { return item.second.session.serial == serial; });
}

int FailureLimiter::blocked_for_s(const std::string& key) const {
  const std::int64_t now = clock_.now_ns();
  const std::lock_guard lock(mutex_);
  const auto it = failures_.find(key);
  if (it == failures_.end()) return 0;
  const auto recent = std::count_if(it->second.begin(), it->second.end(),
                                    [&](std::int64_t t) { return now - t < window_ns_; });
  if (recent < allowed_) return 0;
  const auto& oldest = it->second[it->second.size() - static_cast<std::size_t>(allowed_)];
  return static_cast<int>((oldest + window_ns_ - now) / 1'000'000'000) + 1;
}

void FailureLimiter::failed(const std::string& key) {
  const std::int64_t now = clock_.now_ns();
  const std::lock_guard lock(mutex_);
  if (failures_.size() >= kMaxKeys && failures_.find(key) == failures_.end()) {
    std::erase_if(failures_,
                  [&](const auto& item) { return now - item.second.back() >= window_ns_; });
    if (failures_.size() >= kMaxKeys) {
      failures_.erase(std::min_element(
          failures_.begin(), failures_.end(),
          [](const auto& a, const auto& b) { return a.second.back() < b.second.back(); }));
    }
  }
  auto& times = failures_[key];
  times.push_back(now);
  while (times.size() > static_cast<std::size_t>(allowed_)) times.pop_front();
}

}  // namespace conclave::service
