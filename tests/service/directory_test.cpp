// SPDX-License-Identifier: Apache-2.0
#include "service/directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "service/meetings.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

TEST(Directory, F110_each_role_has_its_passcode) {
  const auto directory = parse_directory(R"({"conferences":[
    {"id":"a","title":"A","chairperson_passcode":"111","participant_passcode":"222"},
    {"id":"b","title":"B","chairperson_passcode":"333","participant_passcode":"444"}]})");
  ASSERT_TRUE(directory.ok()) << directory.error().message;
  const Meetings meetings(*directory);
  const auto chair = meetings.find_by_passcode("333");
  ASSERT_TRUE(chair.has_value());
  EXPECT_EQ(chair->conference.id, "b");
  EXPECT_EQ(chair->role, protocol::Role::kChairperson);
  const auto participant = meetings.find_by_passcode("222");
  ASSERT_TRUE(participant.has_value());
  EXPECT_EQ(participant->conference.id, "a");
  EXPECT_EQ(participant->role, protocol::Role::kParticipant);
  EXPECT_FALSE(meetings.find_by_passcode("555").has_value());
  EXPECT_FALSE(meetings.find_by_passcode("").has_value());
}

TEST(Directory, a_meeting_that_is_written_down_and_read_again_is_the_same) {
  ConferenceEntry entry;
  entry.id = "board";
  entry.title = "Board \"Nord\"";
  entry.chairperson_passcode = "24681";
  entry.participant_passcode = "13579";
  entry.email_required = true;
  entry.emails = {"a@example.org"};
  entry.self_mute = entry.dial_out = entry.operator_call = entry.recording = false;
  const auto again = parse_conference(to_json(entry));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(*again, entry);
}

TEST(Directory, mistakes_are_named) {
  const auto message = [](const char* text) {
    const auto directory = parse_directory(text);
    return directory.ok() ? std::string("ok") : directory.error().message;
  };
  EXPECT_NE(message("{}").find("conferences"), std::string::npos);
  EXPECT_NE(message("nonsense").find("JSON"), std::string::npos);
  EXPECT_NE(message(R"({"conferences":[{"id":"../x","title":"A","chairperson_passcode":"1",
      "participant_passcode":"2"}]})")
                .find("id"),
            std::string::npos);
  EXPECT_NE(message(R"({"conferences":[{"id":"a","title":"A","chairperson_passcode":"1x",
      "participant_passcode":"2"}]})")
                .find("digits"),
            std::string::npos);
  EXPECT_NE(message(R"({"conferences":[{"id":"a","title":"A","chairperson_passcode":"1",
      "participant_passcode":"1"}]})")
                .find("twice"),
            std::string::npos);
}

TEST(Directory, default_file_is_made_for_the_owner_alone) {
  const test::TempFolder folder;
  const std::string path = folder.path("conferences.json");
  const auto made = load_or_make_directory(path);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->conferences.at(0).title, "Project room");
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  std::ofstream(path) << R"({"conferences":[{"id":"mine","title":"Mine","chairperson_passcode":"9",
      "participant_passcode":"8"}]})";
  const auto again = load_or_make_directory(path);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->conferences.at(0).id, "mine");
  std::ofstream(path) << "{";
  const auto broken = load_or_make_directory(path);
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().message.find(path), std::string::npos);
}

}  // namespace
}  // namespace conclave::service
