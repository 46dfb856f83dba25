// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace conclave {
namespace {

Result<int> parse(bool good) {
  if (good) return 7;
  return Error{"the number is missing: type one", "NET-1"};
}
Result<int> doubled(bool good) {
  CONCLAVE_TRY(const int n, parse(good));
  return 2 * n;
}
Status checked(bool good) {
  CONCLAVE_CHECK_STATUS(good ? Status{} : Status{Error{"no"}});
  return {};
}

TEST(Result, carries_value_or_error_with_its_catalogue_id) {
  EXPECT_EQ(*parse(true), 7);
  EXPECT_FALSE(parse(false).ok());
  EXPECT_EQ(parse(false).error().id, "NET-1");
  EXPECT_EQ(parse(false).value_or(3), 3);
}
TEST(Result, try_hands_the_error_on) {
  EXPECT_EQ(*doubled(true), 14);
  EXPECT_EQ(doubled(false).error().message, "the number is missing: type one");
  EXPECT_TRUE(checked(true).ok());
  EXPECT_FALSE(checked(false).ok());
}
TEST(Result, moves_what_cannot_be_copied) {
  Result<std::unique_ptr<int>> r = std::make_unique<int>(5);
  std::unique_ptr<int> p = *std::move(r);
  EXPECT_EQ(*p, 5);
}

}  // namespace
}  // namespace conclave
