// SPDX-License-Identifier: Apache-2.0
#include "service/protocol/messages.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace conclave::service::protocol {
namespace {

TEST(Messages, login_goes_there_and_back) {
  const LoginRequest request{"SN-0042", "Conclave One", "0.1.0", "Büro Süd"};
  const auto parsed = parse_login_request(to_json(request));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->serial, "SN-0042");
  EXPECT_EQ(parsed->display_name, "Büro Süd");
  const auto response = parse_login_response(to_json(LoginResponse{"abc123", 3600}));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->token, "abc123");
  EXPECT_EQ(response->expires_in_s, 3600);
}

TEST(Messages, activation_goes_there_and_back) {
  const auto parsed = parse_activation_request(
      to_json(ActivationRequest{"SN-0042", "1234-abcd", "Conclave One", "0.1.0"}));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->pin, "1234-abcd");
  EXPECT_EQ(parsed->version, "0.1.0");
  EXPECT_EQ(parse_activation_request(R"({"serial":"A","pin":null})").error().id, "ACT-400");
  EXPECT_EQ(parse_activation_request(R"({"serial":"A","pin":"a b"})").error().id, "ACT-401");
  EXPECT_EQ(parse_activation_request(R"({"pin":"1234"})").error().id, "");
  const auto response = parse_activation_response(to_json(ActivationResponse{"abc123"}));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->token, "abc123");
  EXPECT_FALSE(parse_activation_response(R"({"token":"a b"})").ok());
  EXPECT_FALSE(parse_activation_response("{}").ok());
  LoginRequest login{"SN-0042", "", "", ""};
  login.activation = "tok";
  EXPECT_EQ(parse_login_request(to_json(login))->activation, "tok");
  EXPECT_FALSE(parse_login_request(R"({"serial":"A","activation":"a\nb"})").ok());
}

TEST(Messages, F119_join_carries_passcode_and_email) {
  const auto parsed = parse_join_request(to_json(JoinRequest{"246810", "a.b@example.org", "Room"}));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->passcode, "246810");
  EXPECT_EQ(parsed->email, "a.b@example.org");
  const auto without = parse_join_request(R"({"passcode":"246810"})");
  ASSERT_TRUE(without.ok());
  EXPECT_TRUE(without->email.empty());
}

TEST(Messages, join_answer_goes_there_and_back) {
  JoinResponse response;
  response.conference = {"project-room", "Project \"room\""};
  response.participant = {"p1", Role::kChairperson};
  response.sip = {"sip:project-room@127.0.0.1:5061;transport=tls", "127.0.0.1", 5061, "tls"};
  const auto parsed = parse_join_response(to_json(response));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->conference.title, "Project \"room\"");
  EXPECT_EQ(parsed->participant.role, Role::kChairperson);
  EXPECT_EQ(parsed->sip.port, 5061);
}

TEST(Messages, join_answer_without_tls_is_refused) {
  JoinResponse response;
  response.conference = {"c", "t"};
  response.participant = {"p1", Role::kParticipant};
  response.sip = {"sip:c@127.0.0.1:5060", "127.0.0.1", 5060, "udp"};
  EXPECT_FALSE(parse_join_response(to_json(response)).ok());
  response.sip.transport = "tls";
  EXPECT_TRUE(parse_join_response(to_json(response)).ok());
  response.sip.uri = "sip:c@h SIP/2.0\r\nX-Evil: 1";
  EXPECT_FALSE(parse_join_response(to_json(response)).ok());
  response.sip.uri = "sip:c@h>;tag=1";
  EXPECT_FALSE(parse_join_response(to_json(response)).ok());
}

TEST(Messages, roster_goes_there_and_back) {
  Roster roster;
  roster.revision = 18446744073709551615ULL;
  roster.participants["p1"] = {"Anna", Role::kChairperson, true, false};
  roster.participants["p2"] = {"Bo", Role::kParticipant, false, true};
  const auto parsed = parse_roster(to_json(roster));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->revision, roster.revision);
  EXPECT_EQ(parsed->participants, roster.participants);
}

TEST(Messages, F131_error_carries_the_detail_behind_the_question_mark) {
  const auto parsed =
      parse_error(to_json(ErrorBody{"JOIN-NOTFOUND", "Meeting not found.", "JOIN-981", "detail"}));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->id, "JOIN-NOTFOUND");
  EXPECT_EQ(parsed->detail_id, "JOIN-981");
  const auto plain = parse_error(R"({"error":{"id":"CC-404","message":"x"}})");
  ASSERT_TRUE(plain.ok());
  EXPECT_TRUE(plain->detail_id.empty());
}

TEST(Messages, hostile_json_is_refused) {
  const std::vector<std::string> bad = {
      "",
      "null",
      "[]",
      "\"text\"",
      "{",
      "{\"passcode\":}",
      "{\"passcode\":12}",
      "{\"passcode\":null}",
      "{\"passcode\":[\"1\"]}",
      "{\"passcode\":\"\"}",
      "{\"passcode\":\"12 34\"}",
      "{\"passcode\":\"12a\"}",
      "{\"passcode\":\"" + std::string(33, '1') + "\"}",
      "{\"passcode\":\"1\",\"email\":\"no address\"}",
      "{\"passcode\":\"1\",\"display_name\":\"a\\u0000b\"}",
      "{\"passcode\":\"1\",\"display_name\":\"a\\nb\"}",
      "{\"passcode\":\"1\",\"display_name\":\"\\u202egnp\"}",
      "{\"passcode\":\"1\",\"display_name\":\"" + std::string(129, 'x') + "\"}",
      "{\"passcode\":\"1\",\"display_name\":\"\xff\xfe\"}",
      "{\"passcode\":\"1\"} trailing",
      "\xef\xbb\xbf\x01",
      "{\"passcode\":\"1\",\"x\":" + std::string(200, '[') + std::string(200, ']') + "}",
      "{\"passcode\":\"1\",\"x\":\"" + std::string(kMaxRequestBytes, 'x') + "\"}",
  };
  for (const auto& text : bad) {
    EXPECT_FALSE(parse_join_request(text).ok()) << text.substr(0, 80);
  }
  EXPECT_TRUE(parse_join_request(R"({"passcode":"1","unknown":{"a":[1,2]}})").ok());
}

TEST(Messages, deep_nesting_costs_no_stack) {
  EXPECT_FALSE(parse_roster(std::string(60000, '[')).ok());
  EXPECT_FALSE(parse_roster("{\"a\":" + std::string(60000, '[')).ok());
}

TEST(Messages, numbers_out_of_range_are_refused) {
  for (const char* n :
       {"0", "-1", "1e9", "1.5", "99999999999999999999", "18446744073709551615", "true", "\"1\""}) {
    const std::string text = std::string(R"({"token":"a","expires_in":)") + n + "}";
    EXPECT_FALSE(parse_login_response(text).ok()) << n;
  }
  EXPECT_FALSE(parse_roster(R"({"rev":-1,"participants":{}})").ok());
  EXPECT_TRUE(parse_roster(R"({"rev":0,"participants":{}})").ok());
}

TEST(Messages, random_bytes_and_broken_copies_never_crash) {
  std::mt19937 random(7);
  Roster roster;
  roster.revision = 5;
  roster.participants["p1"] = {"Anna", Role::kChairperson, true, false};
  const std::string good = to_json(roster);
  for (int i = 0; i < 3000; ++i) {
    std::string text = good;
    for (int k = 0; k < 3; ++k) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) text.resize(random() % text.size());
    const auto parsed = parse_roster(text);
    if (parsed) {
      EXPECT_TRUE(parse_roster(to_json(*parsed)).ok());
    }
    (void)parse_join_request(text).ok();
    (void)parse_error(text).ok();
    (void)parse_participant_header(text);
  }
}

TEST(Messages, identifiers_are_safe_in_paths) {
  for (const char* good : {"a", "p0123", "Project_Room-1.2"}) EXPECT_TRUE(valid_identifier(good));
  for (const char* bad : {"", ".", "..", ".hidden", "a/b", "a b", "a%2fb", "ä", "a;b"}) {
    EXPECT_FALSE(valid_identifier(bad)) << bad;
  }
}

TEST(Messages, F118_email_is_checked) {
  for (const char* good : {"a@b.de", "first.last+tag@mail.example.co.uk", "x@mün.de"}) {
    EXPECT_TRUE(valid_email(good)) << good;
  }
  for (const char* bad : {"", "x", "a@", "@b.de", "a@b", "a@.de", "a@b..de", "a@b.de.", "a b@c.de",
                          "a@b@c.de", ".a@b.de", "a@b.de\r\n", "a@b_c.de", "<a@b.de>"}) {
    EXPECT_FALSE(valid_email(bad)) << bad;
  }
}

TEST(Messages, participant_header) {
  const auto good = parse_participant_header(participant_header("p1", "abc"));
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(good->participant, "p1");
  EXPECT_EQ(good->token, "abc");
  EXPECT_TRUE(parse_participant_header(" p1;abc ").has_value());
  for (const char* bad : {"", ";", "p1;", ";abc", "p1", "p1;a b", "p/1;abc", "p1;a;b"}) {
    EXPECT_FALSE(parse_participant_header(bad).has_value()) << bad;
  }
}

TEST(Messages, paths) {
  EXPECT_EQ(roster_poll_path("c", 7, 25), "/conferences/c/roster?since=7&wait=25");
  EXPECT_EQ(roster_poll_path("c", 7, 9999), "/conferences/c/roster?since=7&wait=30");
  EXPECT_EQ(mute_path("c", "p"), "/conferences/c/participants/p/mute");
  EXPECT_EQ(participant_path("c", "p"), "/conferences/c/participants/p");
}

TEST(Messages, F111_what_may_be_dialled) {
  for (const char* good :
       {"12", "+4930123456", "*31#", "sip:anna@example.com", "sips:a.b-c@10.0.0.1:5061",
        "sip:1@[::1]:5060", "sip:a@h;transport=tcp", "sips:a@h;transport=tls"}) {
    EXPECT_TRUE(valid_dial_target(good)) << good;
  }
  for (const char* bad :
       {"", "1", "+", "12 34", "tel:1234", "sip:", "sip:@h", "sip:a@", "sip:a@h;lr", "sip:a@h?x=1",
        "sip:a@h>", "sip:a@h:", "sip:a@h:123456", "sip:a@-h", "sip:a@h\r\nX: y", "sip:a b@h",
        "sips:a@h;transport=udp", "sip:a@[zz]", "123456789012345678901234567890123"}) {
    EXPECT_FALSE(valid_dial_target(bad)) << bad;
  }
  EXPECT_FALSE(valid_dial_target("sip:" + std::string(300, 'a') + "@h"));
}

TEST(Messages, F110_a_roster_says_all_and_ignores_what_is_newer) {
  Roster roster;
  roster.revision = 7;
  roster.all_muted = roster.recording = true;
  roster.recording_since_ms = 1'800'000'000'000;
  RosterEntry called;
  called.name = "Anna";
  called.kind = Kind::kCalled;
  called.progress = Progress::kFailed;
  called.error = "CC-DIALOUT";
  roster.participants["p1"] = called;
  RosterEntry other;
  other.name = "Bo";
  other.operator_asked = true;
  roster.participants["p2"] = other;
  const auto read = parse_roster(to_json(roster));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->participants, roster.participants);
  EXPECT_TRUE(read->all_muted && read->recording);
  EXPECT_EQ(read->recording_since_ms, roster.recording_since_ms);
  const std::string frame = R"({"rev":1,"participants":{"p":{"name":"A","role":"participant",)"
                            R"("muted":false,"talking":false)";
  EXPECT_TRUE(parse_roster(frame + R"(,"kind":"robot","call":"parked"}}})").ok());
  for (const char* bad : {R"(,"kind":5}}})", R"(,"error":"no id"}}})", R"(,"operator_asked":1}}})",
                          R"(}},"recording":{"since_ms":-5}})", R"(}},"muted_all":"x"})"}) {
    EXPECT_FALSE(parse_roster(frame + bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace conclave::service::protocol
