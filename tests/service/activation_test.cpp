// SPDX-License-Identifier: Apache-2.0
// Activation by PIN: every answer, what is kept, and what it opens.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "service/call_control.h"
#include "service/phone_book.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

const std::string kBase = "/dolby/ws/rest/callcontrol";
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kToday = 1'800'000'000;  // 2027-01-15
const std::string kFingerprint(64, 'a');

struct ActivationTest : testing::Test {
  test::TempFolder folder;
  ManualClock clock;
  std::int64_t today = kToday;
  Directory directory = *parse_directory(R"({"conferences":[
    {"id":"room","title":"Room","chairperson_passcode":"246810","participant_passcode":"135790"}],
    "phones":{"PIN":{"pin":"1234-abcd"},
              "OLD":{"pin":"1234","pin_expires":"2027-01-14"},
              "NEW":{"pin":"1234","pin_expires":"2027-01-15"},
              "CERT":{"pin":"1234","certificate_sha256":")" +
                                         kFingerprint + R"("},
              "GONE":{"pin":"1234","state":"deactivated"},
              "NOPIN":{"state":"inactive"},
              "FREE":{"state":"active"}}})");
  ConferenceBook book{clock};
  FaultDesk faults;
  Meetings meetings{directory};
  std::unique_ptr<Store> store;
  std::optional<PhoneBook> phones;
  std::optional<CallControl> control;

  void SetUp() override { restart(); }
  /// The service starts once more; sessions are gone, activations are not.
  void restart() {
    control.reset();
    phones.reset();
    store.reset();
    auto opened = Store::open(folder.path("service.db"), [this] { return today; });
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store = std::move(*opened);
    phones.emplace(directory, store.get(), [this] { return today; });
    const Status loaded = phones->load();
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    control.emplace(CallControlConfig{}, clock, meetings, book, *phones, faults);
    control->set_sip("127.0.0.1", 5061);
  }
  HttpAnswer ask(HttpMethod method, const std::string& path, const std::string& body,
                 const std::string& bearer = {}, const std::string& certificate = {}) {
    HttpRequest request;
    request.method = method;
    request.path = kBase + path;
    request.body = body;
    request.bearer = bearer;
    request.certificate = certificate;
    request.peer = "127.0.0.1";
    return control->handle(request);
  }
  HttpAnswer activate(const std::string& serial, const std::string& pin,
                      const std::string& certificate = {}) {
    return ask(HttpMethod::kPost, "/activation",
               to_json(protocol::ActivationRequest{serial, pin, "", ""}), "", certificate);
  }
  std::string token(const HttpAnswer& answer) {
    const auto parsed = protocol::parse_activation_response(answer.body);
    EXPECT_TRUE(parsed.ok()) << answer.status << answer.body;
    return parsed ? parsed->token : std::string();
  }
  HttpAnswer login(const std::string& serial, const std::string& token = {}) {
    protocol::LoginRequest request;
    request.serial = serial;
    request.activation = token;
    return ask(HttpMethod::kPost, "/login", to_json(request));
  }
  static std::string id(const HttpAnswer& answer) {
    const auto parsed = protocol::parse_error(answer.body);
    return parsed ? std::to_string(answer.status) + " " + parsed->id : answer.body;
  }
};

TEST_F(ActivationTest, every_answer_of_the_guide) {
  EXPECT_EQ(id(activate("PIN", "")), "400 ACT-400");
  EXPECT_EQ(id(ask(HttpMethod::kPost, "/activation", R"({"serial":"PIN"})")), "400 ACT-400");
  EXPECT_EQ(id(activate("PIN", "1234-abce")), "401 ACT-401");
  EXPECT_EQ(id(activate("NOPIN", "1234")), "401 ACT-401");
  EXPECT_EQ(id(activate("WHO", "1234")), "404 ACT-404");
  EXPECT_EQ(id(activate("OLD", "1234")), "410 ACT-410");
  EXPECT_EQ(id(activate("OLD", "1235")), "401 ACT-401") << "who does not know the PIN learns less";
  EXPECT_EQ(id(activate("CERT", "1234")), "412 ACT-412");
  EXPECT_EQ(id(activate("CERT", "1234", std::string(64, 'b'))), "412 ACT-412");
  EXPECT_EQ(id(activate("GONE", "1234")), "423 ACT-423");
  EXPECT_EQ(activate("CERT", "1234", kFingerprint).status, 200);
  EXPECT_EQ(activate("NEW", "1234").status, 200) << "good until the end of that day";
  EXPECT_EQ(ask(HttpMethod::kGet, "/activation", "").status, 405);
}

TEST_F(ActivationTest, a_state_that_cannot_be_kept_is_500_and_changes_nothing) {
  auto other = Database::open(folder.path("service.db"));
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE((*other)->execute("DROP TABLE phones").ok());  // nothing can be written there
  EXPECT_EQ(id(activate("PIN", "1234-abcd")), "500 ACT-500");
  EXPECT_EQ(id(login("PIN")), "403 JOIN-978");
}

TEST_F(ActivationTest, F124_F133_the_token_opens_the_login_and_survives_a_restart) {
  EXPECT_EQ(id(login("PIN")), "403 JOIN-978");
  const std::string mine = token(activate("PIN", "1234-abcd"));
  EXPECT_EQ(login("PIN", mine).status, 200);
  restart();
  EXPECT_EQ(login("PIN", mine).status, 200);
  EXPECT_EQ(id(login("PIN")), "403 JOIN-978") << "a phone that lost its token must activate again";
  EXPECT_EQ(id(login("PIN", "wrong")), "401 JOIN-UNABLE");
  EXPECT_EQ(login("FREE").status, 200) << "active by the directory: no PIN needed";
  // A second activation ends the first.
  const std::string second = token(activate("PIN", "1234-abcd"));
  EXPECT_EQ(id(login("PIN", mine)), "401 JOIN-UNABLE");
  EXPECT_EQ(login("PIN", second).status, 200);
}

TEST_F(ActivationTest, nothing_on_disk_opens_anything) {
  const std::string mine = token(activate("PIN", "1234-abcd"));
  login("PIN", mine);
  std::string text;
  for (const char* file : {"service.db", "service.db-wal"}) {
    std::ifstream in(folder.path(file), std::ios::binary);
    text.append(std::istreambuf_iterator<char>(in), {});
    struct stat info {};
    ASSERT_EQ(stat(folder.path(file).c_str(), &info), 0) << file;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << file;
  }
  EXPECT_NE(text.find("PIN"), std::string::npos);
  EXPECT_EQ(text.find(mine), std::string::npos);
  EXPECT_EQ(text.find("1234-abcd"), std::string::npos);
}

TEST_F(ActivationTest, F91_deactivation_by_the_phone_ends_sessions_and_calls) {
  const std::string mine = token(activate("PIN", "1234-abcd"));
  const auto session = protocol::parse_login_response(login("PIN", mine).body);
  ASSERT_TRUE(session.ok());
  const auto joined = protocol::parse_join_response(
      ask(HttpMethod::kPost, "/conferences/join", R"({"passcode":"246810"})", session->token).body);
  ASSERT_TRUE(joined.ok());
  EXPECT_EQ(ask(HttpMethod::kDelete, "/activation", "", "wrong").status, 401);
  EXPECT_EQ(ask(HttpMethod::kDelete, "/activation", "").status, 401);
  EXPECT_EQ(ask(HttpMethod::kDelete, "/activation", "", session->token).status, 401);
  EXPECT_EQ(ask(HttpMethod::kDelete, "/activation", "", mine).status, 204);
  EXPECT_FALSE(book.find(joined->participant.id).has_value());
  EXPECT_EQ(ask(HttpMethod::kPost, "/conferences/join", R"({"passcode":"246810"})", session->token)
                .status,
            401);
  EXPECT_EQ(id(login("PIN", mine)), "403 JOIN-978");
  EXPECT_EQ(ask(HttpMethod::kDelete, "/activation", "", mine).status, 401) << "once is enough";
  restart();
  EXPECT_EQ(id(login("PIN", mine)), "403 JOIN-978");
  EXPECT_EQ(activate("PIN", "1234-abcd").status, 200);
}

TEST_F(ActivationTest, the_administrators_newer_word_counts) {
  const std::string mine = token(activate("PIN", "1234-abcd"));
  ASSERT_TRUE(phones->set_state("PIN", PhoneState::kDeactivated).ok());
  EXPECT_EQ(id(login("PIN", mine)), "403 ACT-DISABLED");
  restart();
  EXPECT_EQ(id(login("PIN", mine)), "403 ACT-DISABLED");
  EXPECT_EQ(id(activate("PIN", "1234-abcd")), "423 ACT-423");
  directory.phones["PIN"].pin = "9999";  // a new entry in the file
  restart();
  EXPECT_EQ(id(activate("PIN", "1234-abcd")), "401 ACT-401");
  EXPECT_EQ(activate("PIN", "9999").status, 200);
}

TEST_F(ActivationTest, guessing_pins_is_held_back) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(activate("PIN", "000" + std::to_string(i)).status, 401);
  EXPECT_EQ(id(activate("PIN", "1234-abcd")), "429 SVC-TEMP");
  clock.advance_ns(61 * kSecond);
  EXPECT_EQ(activate("PIN", "1234-abcd").status, 200);
  // New serial numbers help only until the address has used up its tries.
  for (int i = 0; i < 20; ++i) activate("X" + std::to_string(i), "1111");
  EXPECT_EQ(id(activate("NEW", "1234")), "429 SVC-TEMP");
}

TEST_F(ActivationTest, pins_with_anything_in_them) {
  for (const char* body :
       {R"({"serial":"PIN","pin":1234})", R"({"serial":"PIN","pin":["1234-abcd"]})",
        R"({"serial":"PIN","pin":"1234 abcd"})", R"({"serial":"PIN","pin":"1234-abcd\u0000"})",
        R"({"serial":"PIN","pin":"' OR 1=1 --"})"}) {
    EXPECT_EQ(id(ask(HttpMethod::kPost, "/activation", body)), "400 ACT-401") << body;
  }
  for (const char* body : {"", "[]", "{", R"({"pin":"1234"})", R"({"serial":"../x","pin":"1234"})",
                           R"({"serial":7,"pin":"1234"})", "\xff\xfe"}) {
    EXPECT_EQ(id(ask(HttpMethod::kPost, "/activation", body)), "400 JOIN-984") << body;
  }
}

TEST_F(ActivationTest, a_damaged_file_is_an_error_not_a_guess) {
  for (const char* text : {"", "{", "[]", R"({"phones":[]})", R"({"phones":{"A":{}}})",
                           R"({"phones":{"A":{"state":"on","since":1}}})"}) {
    std::ofstream(folder.path("phones.json")) << text;
    EXPECT_FALSE(store->import_phones(folder.path("phones.json")).ok()) << text;
  }
  std::ofstream(folder.path("damaged.db")) << std::string(8192, 'x');
  EXPECT_FALSE(Store::open(folder.path("damaged.db")).ok());
}

TEST(DirectoryPhones, wrong_entries_are_named) {
  const auto parse = [](const std::string& phone) {
    return parse_directory(R"({"conferences":[{"id":"r","title":"R","chairperson_passcode":"1",
      "participant_passcode":"2"}],"phones":{"SN7":)" +
                           phone + "}}");
  };
  EXPECT_TRUE(parse(R"({"pin":"0000"})").ok());
  EXPECT_TRUE(parse(R"({"pin":"0000","pin_expires":"2028-02-29"})").ok());
  for (const char* wrong :
       {"{}", "7", R"({"state":"on"})", R"({"pin":"12"})", R"({"pin":1234})", R"({"pin":"a b c"})",
        R"({"pin":"0000","pin_expires":"2027-02-29"})",
        R"({"pin":"0000","pin_expires":"tomorrow"})",
        R"({"pin":"0000","pin_expires":"2027-02-09Z"})", R"({"pin":"0000","state":7})",
        R"({"pin":"0000","certificate_sha256":"AB"})"}) {
    const auto parsed = parse(wrong);
    ASSERT_FALSE(parsed.ok()) << wrong;
    EXPECT_NE(parsed.error().message.find("phones"), std::string::npos) << parsed.error().message;
  }
}

}  // namespace
}  // namespace conclave::service
