// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include "control/door/door_client.h"
#include "control/door/local_door.h"
#include "tests/control/web_phone.h"

namespace conclave::control::test {
namespace {

using Json = nlohmann::json;

class DoorTest : public WebPhone {
 protected:
  DoorTest() {
    auto opened = LocalDoor::open(path_, *phone_);
    EXPECT_TRUE(opened.ok());
    door_ = std::move(*opened);
  }
  std::string path_ = local_door_path(folder_.path());
  std::unique_ptr<LocalDoor> door_;
};

TEST_F(DoorTest, takes_the_same_methods_and_nobody_else_may_open_it) {
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  const auto answer = ask_local_door(path_, rpc(1, "call.mute", {{"muted", true}}));
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(Json::parse(*answer)["result"]["muted"], true);
  EXPECT_TRUE(audio_.muted);
  const auto state = ask_local_door(path_, rpc(2, "state.resync"));
  EXPECT_EQ(Json::parse(*state)["result"]["state"]["call"]["muted"], true);
}

TEST_F(DoorTest, answers_garbage_and_closes_on_endless_lines) {
  EXPECT_NE(ask_local_door(path_, "{").value().find("-32700"), std::string::npos);
  EXPECT_FALSE(ask_local_door(path_, std::string(3 << 20, 'x'), 1000).ok());
  EXPECT_TRUE(ask_local_door(path_, rpc(1, "ping")).ok());
}

TEST_F(DoorTest, says_what_to_do_when_there_is_no_phone) {
  door_.reset();
  const auto answer = ask_local_door(path_, rpc(1, "ping"), 500);
  ASSERT_FALSE(answer.ok());
  EXPECT_NE(answer.error().message.find("start it"), std::string::npos);
}

}  // namespace
}  // namespace conclave::control::test
