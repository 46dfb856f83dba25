// SPDX-License-Identifier: Apache-2.0
#include "service/admin_desk.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

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
  for (const char* path : {"/admin/", "/admin/x", "/admin/faultsx", "/admin/faults/1/2"}) {
    EXPECT_EQ(ask(HttpMethod::kGet, path).status, 404) << path;
  }
  EXPECT_EQ(ask(HttpMethod::kGet, "/administrator").status, 404);
  EXPECT_EQ(ask(HttpMethod::kDelete, "/admin/phones/SN1").status, 405);
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

}  // namespace
}  // namespace conclave::service
