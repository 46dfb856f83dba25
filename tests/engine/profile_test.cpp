// SPDX-License-Identifier: Apache-2.0
#include "engine/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace conclave::engine {
namespace {

using testing::HasSubstr;

TEST(Profile, reads_what_interfaces_promise) {
  const auto profile = parse_profile(
      R"({"name":"phone","ring":[[0.05,0,0],[0,0.05,0],[-0.05,0,0]],"satellites":[[1,2,0],null],
          "speed_of_sound":340.5,"channels":["a"],"anything":{"else":1}})",
      "p.json");
  ASSERT_TRUE(profile) << profile.error().message;
  EXPECT_EQ(profile->name, "phone");
  EXPECT_EQ(profile->ring_mics(), 3);
  ASSERT_EQ(profile->satellites(), 2);
  EXPECT_DOUBLE_EQ(profile->geometry.satellites[0]->y, 2.0);
  EXPECT_FALSE(profile->geometry.satellites[1].has_value());
  EXPECT_DOUBLE_EQ(profile->geometry.speed_of_sound, 340.5);
}

TEST(Profile, knows_the_other_name_of_satellites_and_defaults) {
  const auto profile =
      parse_profile(R"({"scene":"s","ring":[[0,0,0]],"satellites_nominal":[[1.5,0,0]]})", "p.json");
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->satellites(), 1);
  EXPECT_EQ(profile->name, "s");
  EXPECT_DOUBLE_EQ(profile->geometry.speed_of_sound, 343.0);
  EXPECT_EQ(single_microphone_profile().ring_mics(), 1);
}

struct Bad {
  const char* text;
  const char* told;
};
class BadProfile : public testing::TestWithParam<Bad> {};

TEST_P(BadProfile, is_refused_with_its_name_and_the_place) {
  const auto profile = parse_profile(GetParam().text, "desk.json");
  ASSERT_FALSE(profile);
  EXPECT_THAT(profile.error().message, HasSubstr("desk.json"));
  EXPECT_THAT(profile.error().message, HasSubstr(GetParam().told));
}
INSTANTIATE_TEST_SUITE_P(
    All, BadProfile,
    testing::Values(Bad{"", "not JSON"}, Bad{"{\"ring\":", "not JSON"}, Bad{"[1,2]", "object"},
                    Bad{"{}", "\"ring\""}, Bad{R"({"ring":[]})", "\"ring\""},
                    Bad{R"({"ring":[[0,0]]})", "\"ring\"[0]"},
                    Bad{R"({"ring":[[0,0,0],[0,"x",0]]})", "\"ring\"[1]"},
                    Bad{R"({"ring":[[0,0,0]],"satellites":[[1,2]]})", "\"satellites\"[0]"},
                    Bad{R"({"ring":[[0,0,0]],"satellites":5})", "\"satellites\""},
                    Bad{R"({"ring":[[0,0,0]],"speed_of_sound":"fast"})", "speed_of_sound"},
                    Bad{R"({"ring":[[0,0,0]],"speed_of_sound":3})", "speed"},
                    Bad{R"({"ring":[[0.1,0,0],[0.1,0,0]]})", ""},
                    Bad{R"({"ring":[[900,0,0],[0,0,0]]})", ""},
                    Bad{R"({"ring":[[0,0,0]],"satellites":[null,null,null,null,null]})",
                        "at most 4"}));

TEST(Profile, a_missing_file_is_told) {
  const auto profile = load_profile("/nonexistent/p.json");
  ASSERT_FALSE(profile);
  EXPECT_THAT(profile.error().message, HasSubstr("/nonexistent/p.json"));
}

}  // namespace
}  // namespace conclave::engine
