// SPDX-License-Identifier: Apache-2.0
// What goes wrong in a call, made to go wrong with the real parts.
#include <signal.h>

#include <fstream>
#include <string>
#include <thread>

#include "tests/integration/call/call_fixture.h"

namespace conclave::apps {
namespace {

using nlohmann::json;
using std::chrono::seconds;

std::string call_state(const json& state) {
  return state.value("call", json::object()).value("state", "");
}
std::string ring_state(const json& state) {
  return state.value("/audio/devices/ring/state"_json_pointer, std::string());
}

TEST_F(CallTest, F119_F127_a_wrong_passcode_is_explained_and_a_right_one_joins) {
  ASSERT_TRUE(demo_->prepare().ok());
  ASSERT_TRUE(demo_->start_room().ok());
  ASSERT_TRUE(demo_->start_service().ok());
  const Status started = demo_->start_phone("");
  ASSERT_TRUE(started.ok()) << started.error().message;
  // The answer may be an error at once or a failed call with the error in the state.
  const auto answer = demo_->ask("call.join", {{"passcode", "000000"}});
  EXPECT_TRUE(!answer.ok() || eventually([](const json& s) { return call_state(s) == "failed"; }));
  const json error = state().value("/call/error"_json_pointer, json::object());
  EXPECT_FALSE(error.value("id", "").empty()) << state().dump();
  EXPECT_FALSE(error.value("message", "").empty());
  EXPECT_FALSE(error.value("cause", "").empty());
  EXPECT_FALSE(error.value("remedy", "").empty());

  ASSERT_TRUE(demo_->ask("call.join", {{"passcode", demo_->participant_passcode()}}).ok());
  EXPECT_TRUE(eventually([](const json& s) { return call_state(s) == "active"; }));
  EXPECT_FALSE(state().contains("/call/error"_json_pointer)) << "the old error is gone";
}

TEST_F(CallTest, F138_a_service_that_comes_up_late_is_joined_without_anybody_doing_anything) {
  ASSERT_TRUE(demo_->prepare().ok());
  ASSERT_TRUE(demo_->start_room().ok());
  ASSERT_TRUE(demo_->start_service().ok());  // to learn its ports
  const std::string passcode = demo_->chairperson_passcode();
  demo_->stop_service();
  const Status started = demo_->start_phone(passcode);
  ASSERT_TRUE(started.ok()) << started.error().message;
  EXPECT_TRUE(eventually([](const json& s) {
    return s.value("call", json::object()).contains("error") && call_state(s) != "active";
  })) << state().dump();
  ASSERT_TRUE(demo_->start_service().ok());
  EXPECT_TRUE(eventually([](const json& s) { return call_state(s) == "active"; }, seconds(40)))
      << state().dump();
}

TEST_F(CallTest, the_sound_card_may_be_unplugged_and_put_back_in_mid_call) {
  start_call();
  ASSERT_TRUE(demo_->tell_room("unplug ring").ok());
  EXPECT_TRUE(eventually([](const json& s) { return ring_state(s) == "unplugged"; }))
      << state().dump();
  EXPECT_EQ(call_state(state()), "active") << "the call stays";
  ASSERT_TRUE(demo_->tell_room("plug ring").ok());
  EXPECT_TRUE(eventually([](const json& s) { return ring_state(s) == "running"; }))
      << state().dump();
  double loudest = -200.0;
  for (int i = 0; i < 24 && loudest < -45.0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    loudest = std::max(loudest, far_end_hears_dbfs());
  }
  EXPECT_GT(loudest, -45.0) << "the room is heard again";
}

TEST_F(CallTest, the_call_outlives_a_killed_janus) {
  start_call();
  // The service tells the process of its mixer in its log.
  std::ifstream log(folder_ / "logs" / "service.log");
  int janus = 0;
  for (std::string line; std::getline(log, line);) {
    const auto at = line.find("Janus is up pid=");
    if (at != std::string::npos) janus = std::atoi(line.c_str() + at + 16);
  }
  ASSERT_GT(janus, 0);
  ASSERT_EQ(kill(janus, SIGKILL), 0);
  std::this_thread::sleep_for(seconds(3));
  double loudest = -200.0;
  for (int i = 0; i < 40 && loudest < -45.0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    loudest = std::max(loudest, far_end_hears_dbfs());
  }
  EXPECT_GT(loudest, -45.0) << "heard through the new mixer";
  EXPECT_EQ(call_state(state()), "active");
  EXPECT_TRUE(demo_->phone_running());
}

TEST_F(CallTest, F121_a_service_that_dies_is_joined_again_when_it_is_back) {
  start_call();
  demo_->stop_far_end();
  demo_->stop_service();
  EXPECT_TRUE(eventually([](const json& s) { return call_state(s) != "active"; }, seconds(30)))
      << state().dump();
  ASSERT_TRUE(demo_->start_service().ok());
  EXPECT_TRUE(eventually([](const json& s) { return call_state(s) == "active"; }, seconds(40)))
      << state().dump();
}

}  // namespace
}  // namespace conclave::apps
