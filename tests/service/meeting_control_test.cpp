// SPDX-License-Identifier: Apache-2.0
#include "service/meeting/meeting_control.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "service/focus/dial_out.h"
#include "service/janus/room_recorder.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

using protocol::Kind;
using protocol::Progress;
using protocol::Role;

struct MeetingControlTest : testing::Test {
  ManualClock clock;
  ConferenceBook book{clock};
  ConferenceEntry room;
  std::vector<std::string> dialled, recorded;
  Status dial_outcome;
  std::string operator_address;
  std::unique_ptr<MeetingControl> control;
  ConferenceBook::Participant chair, other;

  void SetUp() override {
    room.id = "room";
    make();
    chair = *book.expect("room", 1, "S1", "Chair", Role::kChairperson, true);
    other = *book.expect("room", 2, "S2", "Other", Role::kParticipant, true);
    book.arrived(chair.id);
    book.arrived(other.id);
  }
  void make() {
    MeetingControl::Actions actions;
    actions.dial = [this](const ConferenceBook::Participant& callee, const std::string& to) {
      dialled.push_back(to);
      last_called = callee.id;
      return dial_outcome;
    };
    actions.record = [this](const std::string& id, bool on) {
      recorded.push_back(id + (on ? " on" : " off"));
    };
    actions.dialable = [](const std::string& to) {
      return to.front() == '0' ? Status(Error{"", "CC-DIALOUT-DENIED"}) : Status();
    };
    actions.operator_address = operator_address;
    control = std::make_unique<MeetingControl>(book, std::move(actions));
  }
  HttpAnswer ask(const ConferenceBook::Participant& who, const std::string& verb,
                 const std::string& body, bool final = false,
                 HttpMethod method = HttpMethod::kPost) {
    HttpRequest request;
    request.method = method;
    request.body = body;
    request.final = final;
    return control->handle(request, verb, room, who);
  }
  static std::string id_of(const HttpAnswer& answer) {
    const auto error = protocol::parse_error(answer.body);
    return error ? error->id : std::to_string(answer.status) + " " + answer.body;
  }
  std::string last_called;
};

TEST_F(MeetingControlTest, F111_dialling_out_shows_in_the_roster_at_once) {
  const auto answer = ask(chair, "dialout", R"({"to":"+49301234","name":"Anna"})");
  EXPECT_EQ(answer.status, 202);
  const auto called = protocol::parse_dial_out_response(answer.body);
  ASSERT_TRUE(called.ok());
  EXPECT_EQ(dialled, std::vector<std::string>{"+49301234"});
  const auto entry = book.roster("room").participants.at(called->participant);
  EXPECT_EQ(entry.name, "Anna");
  EXPECT_EQ(entry.kind, Kind::kCalled);
  EXPECT_EQ(entry.progress, Progress::kDialing);
  const auto revision = book.revision("room");
  book.set_progress(called->participant, Progress::kFailed, "CC-DIALOUT");
  EXPECT_GT(book.revision("room"), revision);
  // Shown for a while, and then gone.
  clock.advance_ns(std::int64_t{9} * 1'000'000'000);
  book.sweep();
  EXPECT_EQ(book.roster("room").participants.count(called->participant), 1u);
  clock.advance_ns(std::int64_t{2} * 1'000'000'000);
  book.sweep();
  EXPECT_EQ(book.roster("room").participants.count(called->participant), 0u);
}

TEST_F(MeetingControlTest, F111_permission_and_the_two_kinds_of_failure) {
  EXPECT_EQ(id_of(ask(other, "dialout", R"({"to":"12345"})")), "CC-DIALOUT-DENIED");
  EXPECT_EQ(id_of(ask(chair, "dialout", R"({"to":"012345"})")), "CC-DIALOUT-DENIED");
  room.dial_out = false;
  EXPECT_EQ(id_of(ask(chair, "dialout", R"({"to":"12345"})")), "CC-DIALOUT-DENIED");
  room.dial_out = true;
  EXPECT_TRUE(dialled.empty());
  dial_outcome = Error{"no port", "CC-DIALOUT-CCS"};
  EXPECT_EQ(id_of(ask(chair, "dialout", R"({"to":"12345"})")), "CC-DIALOUT-CCS");
  EXPECT_EQ(book.roster("room").participants.size(), 2u);
  dial_outcome = {};
  for (int i = 0; i < MeetingControl::kCallsAtOnce; ++i) {
    EXPECT_EQ(ask(chair, "dialout", R"({"to":"12345"})").status, 202);
  }
  EXPECT_EQ(id_of(ask(chair, "dialout", R"({"to":"12345"})")), "CC-DIALOUT-CCS");
}

TEST_F(MeetingControlTest, bad_requests_change_nothing) {
  const auto revision = book.revision("room");
  for (const char* body :
       {"", "{", "[]", "{}", R"({"to":5})", R"({"to":""})", R"({"to":"sip:@x"})", R"({"to":"a b"})",
        R"({"recording":"yes"})", R"({"participant":"../x"})"}) {
    EXPECT_GE(ask(chair, "dialout", body).status, 400) << body;
    EXPECT_GE(ask(chair, "recording", body).status, 400) << body;
  }
  EXPECT_EQ(ask(chair, "operator", R"({"participant":"../x"})").status, 400);
  EXPECT_EQ(ask(chair, "nonsense", "{}").status, 404);
  EXPECT_EQ(ask(chair, "dialout", "{}", false, HttpMethod::kGet).status, 405);
  EXPECT_EQ(book.revision("room"), revision);
  EXPECT_TRUE(dialled.empty() && recorded.empty());
}

TEST_F(MeetingControlTest, F113_an_operator_on_the_own_line_or_for_the_chairperson_on_any) {
  EXPECT_EQ(ask(other, "operator", "{}").status, 204);
  EXPECT_TRUE(book.find(other.id)->entry.operator_asked);
  EXPECT_EQ(id_of(ask(other, "operator", R"({"participant":")" + chair.id + "\"}")),
            "CC-OPERATOR-DENIED");
  EXPECT_EQ(ask(chair, "operator", R"({"asked":false,"participant":")" + other.id + "\"}").status,
            204);
  EXPECT_FALSE(book.find(other.id)->entry.operator_asked);
  room.operator_call = false;
  EXPECT_EQ(id_of(ask(chair, "operator", "{}")), "CC-OPERATOR-DENIED");
  room.operator_call = true;
  operator_address = "100";
  make();
  dial_outcome = Error{"", "CC-DIALOUT-CCS"};
  EXPECT_EQ(id_of(ask(chair, "operator", "{}")), "CC-OPERATOR");
  dial_outcome = {};
  EXPECT_EQ(ask(chair, "operator", "{}").status, 204);
  EXPECT_EQ(ask(other, "operator", "{}").status, 204);
  EXPECT_EQ(dialled.size(), 2u) << "one operator is enough";
  // On the administrator's desk until somebody sees to it.
  HttpRequest request;
  EXPECT_NE(control->operator_desk(request, "/operator")->body.find(other.id), std::string::npos);
  request.method = HttpMethod::kDelete;
  EXPECT_EQ(control->operator_desk(request, "/operator/" + other.id)->status, 204);
  EXPECT_EQ(control->operator_desk(request, "/operator/p0")->status, 404);
  EXPECT_FALSE(control->operator_desk(request, "/operators").has_value());
  book.operator_arrived("room");
  EXPECT_TRUE(book.operator_asked().empty());
}

TEST_F(MeetingControlTest, F117_recording_is_answered_when_it_is_so) {
  EXPECT_EQ(id_of(ask(other, "recording", R"({"recording":true})")), "CC-RECORD");
  EXPECT_GT(ask(chair, "recording", R"({"recording":true})").wait_s, 0);
  EXPECT_GT(ask(chair, "recording", R"({"recording":true})").wait_s, 0);
  EXPECT_EQ(recorded, std::vector<std::string>{"room on"}) << "wished once";
  book.set_recording("room", true, 1'800'000'000'000);
  EXPECT_EQ(ask(chair, "recording", R"({"recording":true})").status, 200);
  EXPECT_TRUE(book.roster("room").recording);
  EXPECT_GT(ask(chair, "recording", R"({"recording":false})").wait_s, 0);
  // Nothing happens in time, or it fails.
  EXPECT_EQ(id_of(ask(chair, "recording", R"({"recording":false})", true)), "CC-RECORD");
  book.set_recording("room", false);
  EXPECT_GT(ask(chair, "recording", R"({"recording":true})").wait_s, 0);
  book.set_recording("room", false, 0, true);
  EXPECT_EQ(id_of(ask(chair, "recording", R"({"recording":true})")), "CC-RECORD");
  EXPECT_GT(ask(chair, "recording", R"({"recording":true})").wait_s, 0) << "a new wish";
}

TEST_F(MeetingControlTest, who_was_called_goes_with_the_last_who_joined) {
  ask(chair, "dialout", R"({"to":"12345"})");
  ASSERT_NE(book.find(last_called), std::nullopt);
  book.remove(other.id);
  EXPECT_NE(book.find(last_called), std::nullopt);
  book.remove(chair.id);
  EXPECT_EQ(book.find(last_called), std::nullopt);
}

TEST(DialAddress, F111_numbers_go_to_the_gateway_and_addresses_only_where_allowed) {
  DialOutRules rules;
  EXPECT_EQ(dial_address(rules, "123").error().id, "CC-DIALOUT-DENIED");
  EXPECT_EQ(dial_address(rules, "sip:a@b").error().id, "CC-DIALOUT-DENIED");
  rules.gateway = "sip:pbx.example:5070;transport=tcp";
  EXPECT_EQ(*dial_address(rules, "+49#1"), "sip:+49%231@pbx.example:5070;transport=tcp");
  rules.addresses = true;
  EXPECT_EQ(*dial_address(rules, "sip:a@b;transport=tls"), "sip:a@b;transport=tls");
}

TEST(FinishRecording, F117_a_file_left_in_the_middle_becomes_a_whole_one) {
  const test::TempFolder folder;
  std::filesystem::create_directories(folder.path(".parts"));
  const auto write = [&](const std::string& name, const std::string& bytes) {
    std::ofstream(folder.path(name), std::ios::binary) << bytes;
  };
  std::string header(44, '\0');
  header.replace(0, 4, "RIFF");
  header.replace(36, 4, "data");
  write(".parts/a.wav.writing", header + std::string(960, 'x'));
  write(".parts/b.wav", header);                  // no sound
  write(".parts/c.wav", std::string(1000, 'y'));  // no WAV
  EXPECT_EQ(finish_left_recordings(folder.path()), 1);
  std::ifstream in(folder.path("a.wav"), std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  ASSERT_EQ(whole.size(), 1004u);
  EXPECT_EQ(static_cast<unsigned char>(whole[40]), 960 & 255);
  EXPECT_EQ(static_cast<unsigned char>(whole[41]), 960 >> 8);
  EXPECT_FALSE(std::filesystem::exists(folder.path("b.wav")));
  EXPECT_FALSE(std::filesystem::exists(folder.path("c.wav")));
  EXPECT_TRUE(std::filesystem::exists(folder.path(".parts/c.wav"))) << "left for a person";
  // Never over another one.
  write(".parts/a.wav", header + "zz");
  EXPECT_FALSE(finish_recording(folder.path(".parts/a.wav"), folder.path("a.wav")).ok());
  EXPECT_EQ(std::filesystem::file_size(folder.path("a.wav")), 1004u);
}

}  // namespace
}  // namespace conclave::service
