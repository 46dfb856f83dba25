// SPDX-License-Identifier: Apache-2.0
#include "service/admin_desk.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "service/admin/openapi.h"
#include "service/call_control.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

using nlohmann::json;

const std::string kBase = "/dolby/ws/rest/callcontrol";
constexpr std::int64_t kSecond = 1'000'000'000;

struct AdminTest : testing::Test {
  ManualClock clock;
  Directory directory = *parse_directory(R"({"conferences":[
    {"id":"room","title":"Room","chairperson_passcode":"246810","participant_passcode":"135790"}],
    "phones":{"SN1":{"state":"active"},"SN2":{"state":"active"}}})");
  ConferenceBook book{clock};
  Meetings meetings{directory};
  PhoneBook phones{directory};
  FaultDesk faults;
  CallControl control{CallControlConfig{}, clock, meetings, book, phones, faults};
  std::vector<std::string> told;
  AdminDesk admin{clock, "the-admin-token", phones, faults,
                  [this](const std::string& serial, PhoneState) { told.push_back(serial); }};

  MeetingDesk meeting_desk{meetings, book};
  MeetingControl meeting{book, {}};

  void SetUp() override {
    admin.set_meetings(&meeting_desk);
    control.set_meeting(&meeting);
    admin.extend([this](const HttpRequest& request, std::string_view path) {
      return meeting.operator_desk(request, path);
    });
    admin.set_health([] { return std::string("{}"); });
  }
  HttpAnswer ask(HttpMethod method, const std::string& path, const std::string& body = {},
                 const std::string& bearer = "the-admin-token") {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.bearer = bearer;
    request.peer = "127.0.0.1";
    return route(request, control, admin);
  }
  HttpAnswer order(const std::string& body) {
    return ask(HttpMethod::kPost, "/admin/faults", body);
  }
  HttpAnswer login(const std::string& serial) {
    return ask(HttpMethod::kPost, kBase + "/login", R"({"serial":")" + serial + R"("})", "");
  }
};

TEST_F(AdminTest, nobody_without_the_token) {
  for (const char* token : {"", "the-admin-toke", "the-admin-token ", "x"}) {
    EXPECT_EQ(ask(HttpMethod::kGet, "/admin/faults", "", token).status, 401);
  }
  EXPECT_EQ(ask(HttpMethod::kGet, "/admin/faults").status, 200);
  for (int i = 0; i < 10; ++i) ask(HttpMethod::kGet, "/admin/phones", "", "guess");
  EXPECT_EQ(ask(HttpMethod::kGet, "/admin/faults").status, 429);
  clock.advance_ns(61 * kSecond);
  EXPECT_EQ(ask(HttpMethod::kGet, "/admin/faults").status, 200);
}

TEST_F(AdminTest, orders_are_for_one_phone_or_all_and_are_counted_off) {
  ASSERT_EQ(order(R"({"id":"JOIN-977","phone":"SN1","count":2})").status, 200);
  EXPECT_EQ(login("SN2").status, 200);
  for (int i = 0; i < 2; ++i) {
    const auto refused = login("SN1");
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(protocol::parse_error(refused.body)->id, "JOIN-977");
  }
  EXPECT_EQ(login("SN1").status, 200);
  ASSERT_EQ(order(R"({"id":"SVC-TEMP","stage":"login"})").status, 200);
  EXPECT_EQ(login("SN2").status, 503);
  EXPECT_EQ(login("SN2").status, 200);
}

TEST_F(AdminTest, orders_are_listed_and_taken_back) {
  const auto first = json::parse(order(R"({"id":"CC-EJECT"})").body);
  EXPECT_EQ(first["stage"], "call-control");
  order(R"({"id":"no-answer","phone":"SN1","stage":"join"})");
  order(R"({"id":"JOIN-977"})");
  auto now = json::parse(ask(HttpMethod::kGet, "/admin/faults").body);
  ASSERT_EQ(now["orders"].size(), 3u);
  EXPECT_EQ(now["orders"][1]["phone"], "SN1");
  EXPECT_GE(now["kinds"].size(), 54u);
  const std::string number = std::to_string(first["number"].get<int>());
  EXPECT_EQ(ask(HttpMethod::kDelete, "/admin/faults/" + number).status, 204);
  EXPECT_EQ(ask(HttpMethod::kDelete, "/admin/faults/" + number).status, 404);
  EXPECT_EQ(ask(HttpMethod::kDelete, "/admin/faults/x").status, 404);
  EXPECT_EQ(ask(HttpMethod::kDelete, "/admin/faults").status, 204);
  now = json::parse(ask(HttpMethod::kGet, "/admin/faults").body);
  EXPECT_TRUE(now["orders"].empty());
  EXPECT_EQ(login("SN1").status, 200);
}

TEST_F(AdminTest, odd_orders_are_refused) {
  for (const char* body :
       {"", "[]", "{", "{}", R"({"id":7})", R"({"id":"JOIN-999"})",
        R"({"id":"JOIN-977","count":0})", R"({"id":"JOIN-977","count":1001})",
        R"({"id":"JOIN-977","count":18446744073709551615})", R"({"id":"JOIN-977","count":"2"})",
        R"({"id":"JOIN-977","count":1.5})", R"({"id":"JOIN-977","stage":"coffee"})",
        R"({"id":"JOIN-977","phone":"../x"})", R"({"id":"JOIN-977","phone":[]})",
        R"({"a":{"b":{"c":{"d":{"e":{}}}}},"id":"JOIN-977"})"}) {
    EXPECT_EQ(order(body).status, 400) << body;
  }
  EXPECT_TRUE(faults.orders().empty());
  for (std::size_t i = 0; i < FaultDesk::kMaxOrders; ++i) order(R"({"id":"JOIN-977"})");
  EXPECT_EQ(order(R"({"id":"JOIN-977"})").status, 400);
  for (const char* path : {"/admin/x", "/admin/faultsx", "/admin/faults/1/2"}) {
    EXPECT_EQ(ask(HttpMethod::kGet, path).status, 404) << path;
  }
  EXPECT_EQ(ask(HttpMethod::kGet, "/administrator").status, 404);
  EXPECT_EQ(ask(HttpMethod::kDelete, "/admin/phones").status, 405);
}

TEST_F(AdminTest, F123_the_administrator_deactivates_a_phone) {
  EXPECT_EQ(ask(HttpMethod::kPost, "/admin/phones/SN1", R"({"state":"deactivated"})").status, 200);
  EXPECT_EQ(told, std::vector<std::string>{"SN1"});
  EXPECT_EQ(protocol::parse_error(login("SN1").body)->id, "ACT-DISABLED");
  const auto list = json::parse(ask(HttpMethod::kGet, "/admin/phones").body);
  EXPECT_EQ(list["phones"]["SN1"]["state"], "deactivated");
  EXPECT_EQ(list["phones"]["SN2"]["state"], "active");
  EXPECT_EQ(ask(HttpMethod::kPost, "/admin/phones/SN1", R"({"state":"active"})").status, 200);
  EXPECT_EQ(login("SN1").status, 200);
  for (const char* body : {"", "{}", R"({"state":"off"})", R"({"state":1})"}) {
    EXPECT_EQ(ask(HttpMethod::kPost, "/admin/phones/SN1", body).status, 400) << body;
  }
  EXPECT_EQ(ask(HttpMethod::kPost, "/admin/phones/a%20b", R"({"state":"active"})").status, 404);
}

TEST(AdminToken, is_made_once_for_its_owner_alone) {
  const test::TempFolder folder;
  const auto first = load_or_make_admin_token(folder.path("admin.token"));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->size(), 64u);
  EXPECT_EQ(*load_or_make_admin_token(folder.path("admin.token")), *first);
  struct stat info {};
  ASSERT_EQ(stat(folder.path("admin.token").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  std::ofstream(folder.path("short")) << "abc\n";
  EXPECT_FALSE(load_or_make_admin_token(folder.path("short")).ok());
}

TEST_F(AdminTest, F110_meetings_are_made_changed_and_deleted) {
  const auto meetings_now = [this] {
    return json::parse(ask(HttpMethod::kGet, "/admin/meetings").body)["meetings"];
  };
  ASSERT_EQ(meetings_now().size(), 1u);
  const std::string path = "/admin/meetings/daily";
  const std::string good =
      R"({"title":"Daily","chairperson_passcode":"7771","participant_passcode":"7772",
          "emails":["a@example.org"],"self_mute":false})";
  EXPECT_EQ(ask(HttpMethod::kPost, path, good).status, 200);
  ASSERT_EQ(meetings_now().size(), 2u);
  const json made = meetings_now()[1];
  EXPECT_EQ(made["id"], "daily");
  EXPECT_EQ(made["self_mute"], false);
  EXPECT_EQ(made["declared"], false);
  for (const char* wrong :
       {"", "[]", "{}", R"({"title":"x","chairperson_passcode":"a","participant_passcode":"1"})",
        R"({"title":"","chairperson_passcode":"1","participant_passcode":"2"})",
        R"({"title":"x","chairperson_passcode":"1","participant_passcode":"2","emails":"all"})"}) {
    const auto answer = ask(HttpMethod::kPost, "/admin/meetings/other", wrong);
    EXPECT_EQ(answer.status, 400) << wrong;
    EXPECT_FALSE(json::parse(answer.body)["error"]["message"].get<std::string>().empty());
  }
  EXPECT_EQ(ask(HttpMethod::kPost, "/admin/meetings/other",
                R"({"title":"x","chairperson_passcode":"246810","participant_passcode":"2"})")
                .status,
            409);
  EXPECT_EQ(ask(HttpMethod::kPost, "/admin/meetings/..", good).status, 404);
  EXPECT_EQ(ask(HttpMethod::kDelete, path).status, 204);
  EXPECT_EQ(ask(HttpMethod::kDelete, path).status, 404);
  EXPECT_EQ(meetings_now().size(), 1u);
}

TEST_F(AdminTest, F112_F115_F116_the_administrator_mutes_and_removes) {
  const auto one = book.expect("room", 1, "SN1", "Anna", protocol::Role::kChairperson, true);
  const auto two = book.expect("room", 2, "SN2", "Paul", protocol::Role::kParticipant, true);
  book.arrived(one->id);
  book.arrived(two->id);
  const std::string base = "/admin/meetings/room";
  const auto person = [&](const std::string& id) {
    return json::parse(
        ask(HttpMethod::kGet, "/admin/meetings").body)["meetings"][0]["participants"][id];
  };
  EXPECT_EQ(person(two->id)["name"], "Paul");
  EXPECT_EQ(person(two->id)["phone"], "SN2");
  EXPECT_EQ(ask(HttpMethod::kPost, base + "/participants/" + one->id + "/mute", R"({"muted":true})")
                .status,
            200);
  EXPECT_EQ(person(one->id)["muted"], true);
  EXPECT_EQ(ask(HttpMethod::kPost, base + "/mute", R"({"muted":true})").status, 200);
  EXPECT_EQ(person(two->id)["muted"], true);
  EXPECT_EQ(ask(HttpMethod::kPost, base + "/mute", R"({"muted":1})").status, 400);
  EXPECT_EQ(ask(HttpMethod::kDelete, base + "/participants/pnobody").status, 404);
  EXPECT_EQ(ask(HttpMethod::kDelete, base + "/participants/" + two->id).status, 204);
  EXPECT_FALSE(book.find(two->id).has_value());
  EXPECT_EQ(ask(HttpMethod::kDelete, base).status, 204);
  EXPECT_FALSE(book.find(one->id).has_value()) << "a meeting that is deleted ends";
}

TEST_F(AdminTest, F124_a_phone_is_written_down_with_its_pin_and_forgotten) {
  const auto phone = [this](const std::string& serial) {
    return json::parse(ask(HttpMethod::kGet, "/admin/phones").body)["phones"][serial];
  };
  EXPECT_EQ(
      ask(HttpMethod::kPost, "/admin/phones/NEW1", R"({"pin":"4711-x","pin_expires":"2099-12-31"})")
          .status,
      200);
  EXPECT_EQ(phone("NEW1")["state"], "inactive");
  EXPECT_EQ(phone("NEW1")["pin"], "4711-x");
  EXPECT_EQ(phone("NEW1")["pin_expires"], "2099-12-31");
  EXPECT_EQ(login("NEW1").status, 403);
  EXPECT_EQ(ask(HttpMethod::kPost, kBase + "/activation", R"({"serial":"NEW1","pin":"4711-x"})", "")
                .status,
            200);
  EXPECT_EQ(phone("NEW1")["state"], "active");
  EXPECT_EQ(phone("NEW1")["by_pin"], true);
  EXPECT_EQ(login("SN1").status, 200);
  EXPECT_EQ(phone("SN1")["seen"]["from"], "127.0.0.1");
  for (const char* wrong : {R"({"pin":"1"})", R"({"pin":"1234","pin_expires":"soon"})",
                            R"({"state":"on"})", R"({"pin":"1234","certificate_sha256":"x"})"}) {
    EXPECT_EQ(ask(HttpMethod::kPost, "/admin/phones/NEW2", wrong).status, 400) << wrong;
  }
  EXPECT_EQ(ask(HttpMethod::kDelete, "/admin/phones/NEW1").status, 204);
  EXPECT_TRUE(phone("NEW1").is_null());
  EXPECT_EQ(told.back(), "NEW1");
  EXPECT_EQ(ask(HttpMethod::kDelete, "/admin/phones/NEW1").status, 404);
}

/// The path with something sensible for each {name}.
std::string filled(std::string_view path) {
  std::string out(path.front() == '~' ? kBase + std::string(path.substr(1)) : std::string(path));
  for (std::size_t at = 0; (at = out.find('{')) != std::string::npos;) {
    const std::string name = out.substr(at + 1, out.find('}') - at - 1);
    out.replace(at, name.size() + 2,
                name == "serial"        ? "SN1"
                : name == "number"      ? "1"
                : name == "participant" ? "pnobody"
                                        : "room");
  }
  return out;
}

TEST_F(AdminTest, the_openapi_document_is_what_is_there) {
  const json document = json::parse(ask(HttpMethod::kGet, "/openapi.json", "", "").body);
  EXPECT_EQ(document["openapi"], "3.1.0");
  const auto session = protocol::parse_login_response(login("SN1").body);
  ASSERT_TRUE(session.ok());
  ASSERT_EQ(ask(HttpMethod::kPost, kBase + "/conferences/join", R"({"passcode":"246810"})",
                session->token)
                .status,
            200);
  const auto unknown_id = [](const HttpAnswer& answer) {
    const auto error = protocol::parse_error(answer.body);
    return error ? error->id + " " + error->message : std::string();
  };
  std::map<std::string, std::set<std::string>> methods;
  for (const Operation& op : operations()) methods[filled(op.path)].insert(std::string(op.method));
  std::size_t described = 0;
  for (const auto& [path, operation] : document["paths"].items()) described += operation.size();
  EXPECT_EQ(described, operations().size());
  for (const Operation& op : operations()) {
    // Provisioning has a fixture of its own (provisioning_test.cpp).
    if (op.door == Operation::Door::kDevice || op.path.find("provisioning") != std::string::npos ||
        op.path.starts_with("/admin/phones/{serial}/")) {
      continue;
    }
    const std::string path = filled(op.path);
    for (const auto& [name, method] : {std::pair{"get", HttpMethod::kGet},
                                       {"post", HttpMethod::kPost},
                                       {"delete", HttpMethod::kDelete}}) {
      const std::string& token =
          op.door == Operation::Door::kAdministrator ? "the-admin-token" : session->token;
      const auto answer = ask(method, path, "{}", token);
      const bool is_there = methods[path].contains(name);
      // Nobody answers: a wrong method, or nothing of that name below /admin.
      const bool refused = answer.status == 405 ||
                           unknown_id(answer).find("openapi") != std::string::npos ||
                           (answer.status == 404 && !is_there) || answer.status == 401;
      if (op.door == Operation::Door::kOpen && !is_there) continue;
      EXPECT_EQ(is_there, !refused || (is_there && answer.status == 401 && name[0] == 'd'))
          << name << " " << path << ": " << answer.status << " " << answer.body;
    }
  }
  // Every schema that is named is there.
  const std::string text = document.dump();
  for (std::size_t at = 0; (at = text.find("#/components/schemas/", at)) != std::string::npos;) {
    at += 21;
    const std::string name = text.substr(at, text.find('"', at) - at);
    EXPECT_TRUE(document["components"]["schemas"].contains(name)) << name;
  }
}

TEST_F(AdminTest, the_page_is_for_everybody_and_holds_nothing) {
  for (const char* path : {"/admin", "/admin/", "/admin/admin.css", "/admin/admin.js"}) {
    const auto answer = ask(HttpMethod::kGet, path, "", "");
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_TRUE(answer.page);
    EXPECT_EQ(answer.body.find("246810"), std::string::npos);
    // Nothing comes from elsewhere; the only addresses are of our own and of the SVG name space.
    for (std::size_t at = 0; (at = answer.body.find("://", at)) != std::string::npos; ++at) {
      EXPECT_EQ(answer.body.substr(at - 4, 21), "http://www.w3.org/200") << path;
    }
  }
  EXPECT_EQ(ask(HttpMethod::kGet, "/admin/../admin.token", "", "").status, 401);
}

}  // namespace
}  // namespace conclave::service
