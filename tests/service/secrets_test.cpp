// SPDX-License-Identifier: Apache-2.0
#include "service/secrets.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace conclave::service {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

TEST(Secrets, compares_content) {
  EXPECT_TRUE(same_secret("246810", "246810"));
  EXPECT_FALSE(same_secret("246810", "246811"));
  EXPECT_FALSE(same_secret("246810", "24681"));
  EXPECT_FALSE(same_secret("", "0"));
  EXPECT_TRUE(same_secret("", ""));
}

TEST(Secrets, random_text_differs) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(seen.insert(random_hex(32)).second);
  EXPECT_EQ(seen.begin()->size(), 64u);
}

TEST(TokenStore, F124_token_ends_with_its_time) {
  ManualClock clock;
  TokenStore store(clock, 60);
  const auto issued = store.issue("SN1", "Room");
  EXPECT_EQ(issued.token.size(), 64u);  // 256 bits
  ASSERT_TRUE(store.find(issued.token).has_value());
  EXPECT_EQ(store.find(issued.token)->serial, "SN1");
  clock.advance_ns(59 * kSecond);
  EXPECT_TRUE(store.find(issued.token).has_value());
  clock.advance_ns(2 * kSecond);
  EXPECT_FALSE(store.find(issued.token).has_value());
}

TEST(TokenStore, unknown_tokens_open_nothing) {
  ManualClock clock;
  TokenStore store(clock, 60);
  std::string token = store.issue("SN1", "").token;
  EXPECT_FALSE(store.find("").has_value());
  token.back() = token.back() == '0' ? '1' : '0';
  EXPECT_FALSE(store.find(token).has_value());
}

TEST(TokenStore, one_phone_keeps_only_its_newest_tokens) {
  ManualClock clock;
  TokenStore store(clock, 60);
  const auto other = store.issue("SN2", "");
  const auto first = store.issue("SN1", "");
  std::string last;
  for (std::size_t i = 0; i < TokenStore::kMaxTokensOfOne; ++i) last = store.issue("SN1", "").token;
  EXPECT_FALSE(store.find(first.token).has_value());
  EXPECT_TRUE(store.find(last).has_value());
  EXPECT_TRUE(store.find(other.token).has_value());
  store.revoke_serial("SN1");
  EXPECT_FALSE(store.find(last).has_value());
  EXPECT_TRUE(store.find(other.token).has_value());
}

TEST(FailureLimiter, blocks_and_lets_go) {
  ManualClock clock;
  FailureLimiter limiter(clock, 3, 60);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(limiter.blocked_for_s("a"), 0);
    limiter.failed("a");
    clock.advance_ns(kSecond);
  }
  EXPECT_GT(limiter.blocked_for_s("a"), 0);
  EXPECT_LE(limiter.blocked_for_s("a"), 60);
  EXPECT_EQ(limiter.blocked_for_s("b"), 0);
  clock.advance_ns(58 * kSecond);
  EXPECT_EQ(limiter.blocked_for_s("a"), 0);
}

TEST(FailureLimiter, many_keys_do_not_fill_the_memory) {
  ManualClock clock;
  FailureLimiter limiter(clock, 1, 60);
  for (int i = 0; i < 6000; ++i) {
    limiter.failed("key" + std::to_string(i));
    clock.advance_ns(1000);
  }
  EXPECT_GT(limiter.blocked_for_s("key5999"), 0);
  EXPECT_EQ(limiter.blocked_for_s("key0"), 0);
}

}  // namespace
}  // namespace conclave::service
