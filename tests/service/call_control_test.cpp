// SPDX-License-Identifier: Apache-2.0
#include "service/call_control.h"

#include <gtest/gtest.h>

#include <string>

namespace conclave::service {
namespace {

using protocol::Role;

constexpr std::int64_t kSecond = 1'000'000'000;
const std::string kBase = "/dolby/ws/rest/callcontrol";

struct CallControlTest : testing::Test {
  ManualClock clock;
  Directory directory = *parse_directory(R"({"conferences":[
    {"id":"room","title":"Room","chairperson_passcode":"246810","participant_passcode":"135790"},
    {"id":"board","title":"Board","chairperson_passcode":"111111","participant_passcode":"222222",
     "email_required":true,"emails":["anna@example.org"],"self_mute":false}],
    "open":true,"phones":{"OFF":{"state":"inactive"},"GONE":{"state":"deactivated"}}})");
  ConferenceBook book{clock};
  Meetings meetings{directory};
  PhoneBook phones{directory};
  FaultDesk faults;
  CallControl control{CallControlConfig{}, clock, meetings, book, phones, faults};

  void SetUp() override { control.set_sip("127.0.0.1", 5061); }

  HttpAnswer ask(HttpMethod method, const std::string& path, const std::string& token = {},
                 const std::string& body = {}, bool final = false) {
    HttpRequest request;
    request.method = method;
    const auto question = path.find('?');
    request.path = kBase + path.substr(0, question);
    if (question != std::string::npos) request.query = path.substr(question + 1);
    request.bearer = token;
    request.body = body;
    request.peer = "127.0.0.1";
    request.final = final;
    return control.handle(request);
  }
  HttpAnswer post(const std::string& path, const std::string& token, const std::string& body) {
    return ask(HttpMethod::kPost, path, token, body);
  }
  std::string login(const std::string& serial = "SN1") {
    const auto answer = post("/login", "", R"({"serial":")" + serial + R"("})");
    const auto parsed = protocol::parse_login_response(answer.body);
    return parsed ? parsed->token : std::string();
  }
  protocol::JoinResponse join(const std::string& token, const std::string& passcode) {
    const auto answer = post("/conferences/join", token, R"({"passcode":")" + passcode + R"("})");
    const auto parsed = protocol::parse_join_response(answer.body);
    EXPECT_TRUE(parsed.ok()) << answer.body;
    if (!parsed) return {};
    book.arrived(parsed->participant.id);
    return *parsed;
  }
  static std::string error_id(const HttpAnswer& answer) {
    const auto parsed = protocol::parse_error(answer.body);
    return parsed ? parsed->id : "no error body: " + answer.body;
  }
};

TEST_F(CallControlTest, F110_F119_passcode_decides_conference_and_role) {
  const auto chair = join(login("SN1"), "246810");
  EXPECT_EQ(chair.participant.role, Role::kChairperson);
  EXPECT_EQ(chair.conference.title, "Room");
  EXPECT_EQ(chair.sip.uri, "sip:room@127.0.0.1:5061;transport=tls");
  const auto other = join(login("SN2"), "135790");
  EXPECT_EQ(other.participant.role, Role::kParticipant);
  EXPECT_NE(other.participant.id, chair.participant.id);
}

TEST_F(CallControlTest, wrong_passcode_is_404_with_detail) {
  const auto answer = post("/conferences/join", login(), R"({"passcode":"999999"})");
  EXPECT_EQ(answer.status, 404);
  const auto error = protocol::parse_error(answer.body);
  ASSERT_TRUE(error.ok());
  EXPECT_EQ(error->id, "JOIN-NOTFOUND");
  EXPECT_EQ(error->detail_id, "JOIN-981");
}

TEST_F(CallControlTest, F118_email_is_asked_for_and_checked) {
  const auto token = login();
  EXPECT_EQ(error_id(post("/conferences/join", token, R"({"passcode":"222222"})")), "JOIN-975");
  EXPECT_EQ(error_id(post("/conferences/join", token, R"({"passcode":"222222","email":"x"})")),
            "JOIN-976");
  const auto stranger =
      post("/conferences/join", token, R"({"passcode":"222222","email":"eve@example.org"})");
  EXPECT_EQ(stranger.status, 404);
  EXPECT_EQ(protocol::parse_error(stranger.body)->detail_id, "JOIN-980");
  EXPECT_EQ(post("/conferences/join", token, R"({"passcode":"222222","email":"Anna@Example.org"})")
                .status,
            200);
}

TEST_F(CallControlTest, F124_F133_bad_or_expired_token_is_401) {
  EXPECT_EQ(post("/conferences/join", "", R"({"passcode":"246810"})").status, 401);
  const auto answer = post("/conferences/join", "wrong", R"({"passcode":"246810"})");
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(error_id(answer), "JOIN-UNABLE");
  const auto token = login();
  clock.advance_ns(13 * 3600 * kSecond);
  EXPECT_EQ(post("/conferences/join", token, R"({"passcode":"246810"})").status, 401);
}

TEST_F(CallControlTest, F123_phones_can_be_inactive_or_disabled) {
  EXPECT_EQ(error_id(post("/login", "", R"({"serial":"OFF"})")), "JOIN-978");
  EXPECT_EQ(error_id(post("/login", "", R"({"serial":"GONE"})")), "ACT-DISABLED");
  directory.open = false;
  EXPECT_EQ(error_id(post("/login", "", R"({"serial":"NEW"})")), "JOIN-977");
}

TEST_F(CallControlTest, guessing_passcodes_is_held_back) {
  const auto token = login();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(post("/conferences/join", token, R"({"passcode":"000000"})").status, 404);
  }
  const auto answer = post("/conferences/join", token, R"({"passcode":"246810"})");
  EXPECT_EQ(answer.status, 429);
  EXPECT_GT(answer.retry_after_s, 0);
  EXPECT_EQ(error_id(answer), "SVC-TEMP");
  // New serial numbers help only until the address has used up its tries.
  for (int phone = 0; phone < 3; ++phone) {
    const auto other = login("X" + std::to_string(phone));
    for (int i = 0; i < 5; ++i) post("/conferences/join", other, R"({"passcode":"000000"})");
  }
  EXPECT_EQ(post("/conferences/join", login("Y"), R"({"passcode":"246810"})").status, 429);
  clock.advance_ns(61 * kSecond);
  EXPECT_EQ(post("/conferences/join", token, R"({"passcode":"246810"})").status, 200);
}

TEST_F(CallControlTest, F114_own_line_mutes_and_may_be_refused) {
  const auto token = login();
  const auto self = join(token, "135790");
  const auto path = protocol::mute_path("room", self.participant.id);
  EXPECT_EQ(post(path, token, R"({"muted":true})").status, 200);
  EXPECT_TRUE(book.find(self.participant.id)->entry.muted);
  EXPECT_EQ(post(path, token, R"({"muted":false})").status, 200);
  EXPECT_FALSE(book.find(self.participant.id)->entry.muted);
  EXPECT_EQ(post(path, token, R"({"muted":1})").status, 400);

  const auto answer =
      post("/conferences/join", token, R"({"passcode":"222222","email":"anna@example.org"})");
  const auto board = protocol::parse_join_response(answer.body);
  ASSERT_TRUE(board.ok());
  EXPECT_EQ(error_id(post(protocol::mute_path("board", board->participant.id), token,
                          R"({"muted":true})")),
            "CC-MUTE-SELF");
}

TEST_F(CallControlTest, F115_F116_only_the_chairperson_mutes_others) {
  const auto chair_token = login("SN1");
  const auto chair = join(chair_token, "246810");
  const auto token = login("SN2");
  const auto self = join(token, "135790");
  EXPECT_EQ(
      error_id(post(protocol::mute_path("room", chair.participant.id), token, R"({"muted":true})")),
      "CC-MUTE-OTHER");
  EXPECT_EQ(error_id(post(protocol::mute_all_path("room"), token, R"({"muted":true})")),
            "CC-MUTE-ALL");
  EXPECT_FALSE(book.find(chair.participant.id)->entry.muted);
  EXPECT_EQ(post(protocol::mute_path("room", self.participant.id), chair_token, R"({"muted":true})")
                .status,
            200);
  EXPECT_TRUE(book.find(self.participant.id)->entry.muted);
  EXPECT_EQ(post(protocol::mute_all_path("room"), chair_token, R"({"muted":false})").status, 200);
  EXPECT_FALSE(book.find(self.participant.id)->entry.muted);
}

TEST_F(CallControlTest, F112_only_the_chairperson_ejects) {
  const auto chair_token = login("SN1");
  const auto chair = join(chair_token, "246810");
  const auto token = login("SN2");
  const auto self = join(token, "135790");
  const auto chair_path = protocol::participant_path("room", chair.participant.id);
  const auto self_path = protocol::participant_path("room", self.participant.id);
  EXPECT_EQ(error_id(ask(HttpMethod::kDelete, chair_path, token)), "CC-EJECT");
  EXPECT_EQ(ask(HttpMethod::kDelete, self_path, chair_token).status, 204);
  EXPECT_FALSE(book.find(self.participant.id).has_value());
  EXPECT_EQ(ask(HttpMethod::kDelete, chair_path, chair_token).status, 204);
}

TEST_F(CallControlTest, strangers_see_nothing_of_a_conference) {
  const auto self = join(login("SN1"), "246810");
  const auto stranger = login("SN2");
  EXPECT_EQ(error_id(ask(HttpMethod::kGet, "/conferences/room/roster", stranger)), "CC-404");
  EXPECT_EQ(error_id(post(protocol::mute_path("room", self.participant.id), stranger,
                          R"({"muted":true})")),
            "CC-404");
  EXPECT_EQ(
      ask(HttpMethod::kDelete, protocol::participant_path("room", self.participant.id), stranger)
          .status,
      404);
}

TEST_F(CallControlTest, roster_waits_for_news) {
  const auto token = login();
  const auto self = join(token, "246810");
  const auto now =
      protocol::parse_roster(ask(HttpMethod::kGet, "/conferences/room/roster", token).body);
  ASSERT_TRUE(now.ok());
  EXPECT_EQ(now->participants.count(self.participant.id), 1u);
  const auto poll = protocol::roster_poll_path("room", now->revision, 25);
  EXPECT_EQ(ask(HttpMethod::kGet, poll, token).wait_s, 25);
  EXPECT_EQ(ask(HttpMethod::kGet, poll, token, "", true).wait_s, 0);  // time is over
  book.set_talking(self.participant.id, true);
  const auto news = ask(HttpMethod::kGet, poll, token);
  EXPECT_EQ(news.wait_s, 0);
  EXPECT_TRUE(protocol::parse_roster(news.body)->participants.at(self.participant.id).talking);
  EXPECT_EQ(ask(HttpMethod::kGet, "/conferences/room/roster?since=x&wait=1", token).status, 400);
  EXPECT_EQ(ask(HttpMethod::kGet, "/conferences/room/roster?since=-1&wait=1", token).status, 400);
}

TEST_F(CallControlTest, odd_paths_and_methods) {
  const auto token = login();
  join(token, "246810");
  EXPECT_EQ(ask(HttpMethod::kGet, "/login").status, 405);
  EXPECT_EQ(ask(HttpMethod::kGet, "/conferences/join", token).status, 405);
  EXPECT_EQ(ask(HttpMethod::kPost, "/conferences/room/roster", token).status, 405);
  for (const char* path : {"", "/", "/conferences", "/conferences/", "/conferences/room",
                           "/conferences/room/roster/", "/conferences/../login", "/etc/passwd"}) {
    EXPECT_EQ(ask(HttpMethod::kGet, path, token).status, 404) << path;
  }
  HttpRequest outside;
  outside.path = "/";
  EXPECT_EQ(control.handle(outside).status, 404);
  outside.path = kBase + "x/login";
  EXPECT_EQ(control.handle(outside).status, 404);
}

TEST_F(CallControlTest, sip_credentials_must_belong_together) {
  const auto token = login("SN1");
  const auto other = login("SN2");
  const auto self = join(token, "246810");
  EXPECT_TRUE(control.authenticate(protocol::participant_header(self.participant.id, token)));
  EXPECT_FALSE(control.authenticate(protocol::participant_header(self.participant.id, other)));
  EXPECT_FALSE(control.authenticate(protocol::participant_header("p0", token)));
  EXPECT_FALSE(control.authenticate(""));
}

TEST_F(CallControlTest, F120_a_service_of_a_provider_without_an_address_is_at_the_root) {
  CallControlConfig config;
  config.base_path = "";
  CallControl at_root{config, clock, meetings, book, phones, faults};
  HttpRequest request;
  request.method = HttpMethod::kPost;
  request.path = "/login";
  request.body = R"({"serial":"SN1"})";
  request.peer = "127.0.0.1";
  EXPECT_EQ(at_root.handle(request).status, 200);
  request.path = "login";
  EXPECT_EQ(at_root.handle(request).status, 404);
}

}  // namespace
}  // namespace conclave::service
