// SPDX-License-Identifier: Apache-2.0
// A phone and the service's REST side over real HTTPS: whatever the fault desk serves, the phone
// shows the same entry of the catalogue on its state and by its methods.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "control/door/door_client.h"
#include "control/door/local_door.h"
#include "control/phone/phone.h"
#include "control/provider/profile.h"
#include "service/admin_desk.h"
#include "service/call_control.h"
#include "service/lab_ca.h"
#include "tests/control/fakes.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

using control::Key;
using control::Layer;
using control::Loop;
using control::test::eventually;
using Json = nlohmann::json;

const std::string kBase = "/dolby/ws/rest/callcontrol";

struct Faults : testing::Test {
  static inline std::optional<test::TempFolder> ca_folder;
  static inline LabCertificates files;
  static void SetUpTestSuite() {
    files = *ensure_lab_certificates(ca_folder.emplace().path(), {"localhost", "127.0.0.1"});
  }
  static void TearDownTestSuite() { ca_folder.reset(); }

  SystemClock clock;
  Directory directory;
  ConferenceBook book{clock};
  Meetings meetings{directory};
  PhoneBook phones{directory};
  FaultDesk faults;
  std::unique_ptr<CallControl> calls;
  std::unique_ptr<AdminDesk> admin;
  std::unique_ptr<HttpsServer> server;

  test::TempFolder folder;
  control::Registry settings;
  control::test::FakeAudio audio;
  control::test::FakeCalls media;
  Loop* loop = nullptr;
  std::unique_ptr<control::Phone> phone;
  std::unique_ptr<control::LocalDoor> door;
  std::string serial;

  void SetUp() override {
    serial = control::ensure_serial_number(settings);
    directory = *parse_directory(R"({"conferences":[{"id":"room","title":"Room",
      "chairperson_passcode":"246810","participant_passcode":"135790"}],"open":true,"phones":{")" +
                                 serial + R"(":{"state":"active","pin":"1234"}}})");
    CallControlConfig config;
    config.logins_of_address = 10'000;
    calls = std::make_unique<CallControl>(config, clock, meetings, book, phones, faults);
    calls->set_sip("127.0.0.1", 5061);
    admin = std::make_unique<AdminDesk>(
        clock, "the-admin-token", phones, faults,
        [this](const std::string& who, PhoneState) { calls->shut_out(who); });
    HttpsConfig https;
    https.certificate_file = files.certificate_file;
    https.key_file = files.key_file;
    auto started = HttpsServer::start(https, [this](const HttpRequest& request) {
      seen_certificate = request.certificate;
      return route(request, *calls, *admin);
    });
    ASSERT_TRUE(started.ok()) << started.error().message;
    server = std::move(*started);
    ASSERT_TRUE(
        settings
            .apply(Layer::kLocal, {{"Dvms.Server.Address",
                                    "https://127.0.0.1:" + std::to_string(server->port()) + kBase},
                                   {"Security.Certificates.ServiceCa", files.ca_file},
                                   {"Conference.RequestTimeout", 2}})
            .ok());
    control::Phone::Parts parts;
    parts.settings = &settings;
    parts.audio = &audio;
    parts.calls = [this] { return std::make_unique<control::test::FakeCall>(&loop, &media); };
    control::PhoneConfig phone_config;
    phone_config.data_folder = folder.path();
    phone_config.provider = control::to_json(control::built_in_provider_profile());
    phone = std::make_unique<control::Phone>(phone_config, std::move(parts));
    loop = &phone->loop();
    phone->start();
    auto opened = control::LocalDoor::open(control::local_door_path(folder.path()), *phone);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    door = std::move(*opened);
  }
  void TearDown() override {
    door.reset();
    if (phone) phone->stop();
    phone.reset();
    server.reset();
  }

  Json ask(const std::string& method, const Json& params = Json::object()) {
    std::promise<std::string> answer;
    phone->handle(
        Json({{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}).dump(),
        {"admin", "", "test"}, [&](std::string text) { answer.set_value(std::move(text)); });
    return Json::parse(answer.get_future().get());
  }
  Json tree(const char* part) { return phone->state().snapshot()->state.at(part); }
  void order(const std::string& id, FaultStage stage, int count = 1) {
    const auto made = faults.order(id, serial, count, stage);
    ASSERT_TRUE(made.ok()) << made.error().message;
  }
  bool call_is(const std::string& state) {
    return eventually([&] { return tree("call").at("state") == state; });
  }
  /// The same by the door on the machine, as `conclave ctl` and scripts ask.
  Json ask_door(const std::string& method) {
    const auto answer =
        control::ask_local_door(control::local_door_path(folder.path()),
                                Json({{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}}).dump());
    return answer ? Json::parse(*answer) : Json();
  }
  /// The id that the failed call (or activation) shows, on the tree, by the methods and by the
  /// door.
  std::string shown(const char* part) {
    eventually([&] { return tree(part).contains("error"); });
    const Json error = tree(part).value("error", Json::object());
    const Json by_method = ask("state.resync")["result"]["state"][part].value("error", Json());
    if (by_method != error) return "differs by method";
    const Json by_door = ask_door("state.resync")["result"]["state"][part].value("error", Json());
    if (by_door != error) return "differs by the door";
    return error.value("id", "none") +
           (error.value("message", "").empty() ? " without a message" : "");
  }
  std::string join_shows() {
    ask("call.join", {{"passcode", "246810"}});
    EXPECT_TRUE(call_is("failed"));
    return shown("call");
  }
  std::string activation_shows() {
    ask("activation.activate", {{"pin", "1234"}});
    EXPECT_TRUE(eventually([&] { return tree("activation").at("state") != "activating"; }));
    return shown("activation");
  }
  std::string seen_certificate;
};

TEST_F(Faults, F107_F110_to_F125_F133_to_F138_each_id_is_shown_at_login_join_and_call_control) {
  int ids = 0;
  for (const FaultKind& kind : FaultDesk::kinds()) {
    if (kind.status == 0) continue;
    ++ids;
    const std::string id(kind.id);
    ASSERT_NE(control::find_error(id), nullptr) << id;
    order(id, FaultStage::kLogin);
    EXPECT_EQ(join_shows(), id) << "at login";
    // A token that is refused once is worth a new login; twice is an answer.
    order(id, FaultStage::kJoin, kind.status == 401 ? 2 : 1);
    EXPECT_EQ(join_shows(), id) << "at join";
  }
  EXPECT_EQ(ids, 54);
  EXPECT_EQ(static_cast<std::size_t>(ids), control::errors_catalogue().size());

  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  for (const FaultKind& kind : FaultDesk::kinds()) {
    if (kind.status == 0 || kind.stage != FaultStage::kCallControl) continue;
    const std::string id(kind.id);
    order(id, FaultStage::kCallControl);
    ask("call.mute", {{"muted", true}});
    EXPECT_TRUE(eventually([&] {
      const Json call = tree("call");
      return call.contains("error") && call["error"]["id"] == id;
    })) << id;
    EXPECT_EQ(shown("call"), id);
    EXPECT_EQ(tree("call").at("state"), "active") << "a refused wish is no reason to hang up";
  }
  EXPECT_TRUE(faults.orders().empty());
}

TEST_F(Faults, F123_each_answer_to_an_activation) {
  for (const FaultKind& kind : FaultDesk::kinds()) {
    if (kind.stage != FaultStage::kActivation) continue;
    order(std::string(kind.id), FaultStage::kActivation);
    EXPECT_EQ(activation_shows(), kind.id);
  }
  ask("activation.activate", {{"pin", "1234"}});
  EXPECT_TRUE(eventually([&] { return tree("activation").at("state") == "activated"; }));
}

TEST_F(Faults, answers_that_go_wrong_on_the_way) {
  const struct {
    const char* id;
    const char* shows;
  } table[] = {{"no-answer", "NET-954"},      {"slow", "NET-954"},
               {"close", "NET-951"},          {"endless", "NET-951"},
               {"not-json", "JOIN-984"},      {"wrong-type", "JOIN-984"},
               {"redirect-loop", "JOIN-982"}, {"redirect-http", "NET-957"}};
  for (const auto& row : table) {
    // A connection that is used again and found closed is tried once more by HTTP itself.
    const int count = std::string(row.id) == "close" ? 2 : 1;
    order(row.id, FaultStage::kLogin, count);
    EXPECT_EQ(join_shows(), row.shows) << row.id << " at login";
    faults.cancel();
    order(row.id, FaultStage::kJoin, count);
    EXPECT_EQ(join_shows(), row.shows) << row.id << " at join";
    faults.cancel();
    order(row.id, FaultStage::kActivation, count);
    EXPECT_EQ(activation_shows(), row.shows) << row.id << " at activation";
    faults.cancel();
    EXPECT_EQ(tree("activation").at("state"), "not activated");
    EXPECT_EQ(settings.get_text(Key::kDvmsAuthToken), "");
  }
}

TEST_F(Faults, F107_F125_none_of_many_random_injections_is_shown_as_another) {
  // tools/campaign faults does the same a thousand times.
  const char* wish = std::getenv("CONCLAVE_INJECTIONS");
  const int injections = wish != nullptr ? std::atoi(wish) : 50;
  const auto kinds = FaultDesk::kinds();
  std::minstd_rand random(20261123);
  std::map<std::string, int> seen;
  int wrong = 0;
  for (int i = 0; i < injections; ++i) {
    const FaultKind& kind = kinds[random() % kinds.size()];
    const bool error = kind.status != 0;
    // What takes the phone two seconds to find out is drawn less often.
    if (!error && random() % 4 != 0 && injections > 50) {
      --i;
      continue;
    }
    const std::string id(kind.id);
    std::string wanted = id;
    if (!error) {
      wanted = id == "no-answer" || id == "slow"        ? "NET-954"
               : id == "close" || id == "endless"       ? "NET-951"
               : id == "not-json" || id == "wrong-type" ? "JOIN-984"
               : id == "redirect-loop"                  ? "JOIN-982"
                                                        : "NET-957";
    }
    std::string got;
    FaultStage stage = random() % 2 == 0 ? FaultStage::kLogin : FaultStage::kJoin;
    if (kind.stage == FaultStage::kActivation && random() % 2 == 0) stage = kind.stage;
    if (kind.stage == FaultStage::kCallControl && random() % 2 == 0) stage = kind.stage;
    // Refused once, a token is renewed; found closed, a connection is made anew.
    const bool twice = (stage == FaultStage::kJoin && kind.status == 401) || id == "close";
    order(id, stage, twice ? 2 : 1);
    if (stage == FaultStage::kActivation) {
      got = activation_shows();
    } else if (stage == FaultStage::kCallControl) {
      ask("call.join", {{"passcode", "246810"}});
      EXPECT_TRUE(call_is("active"));
      ask("call.mute", {{"muted", i % 2 == 0}});
      got = shown("call");
      ask("call.leave");
      EXPECT_TRUE(call_is("idle"));
    } else {
      got = join_shows();
    }
    faults.cancel();
    ++seen[wanted];
    if (got != wanted) {
      ++wrong;
      ADD_FAILURE() << "injection " << i << ": " << id << " at " << to_string(stage) << " shows "
                    << got;
    }
  }
  EXPECT_EQ(wrong, 0) << "of " << injections;
  EXPECT_GT(seen.size(), 20u);
  std::printf("%d injections, %zu ids, %d wrong\n", injections, seen.size(), wrong);
}

TEST_F(Faults, F138_after_a_temporary_error_the_user_simply_joins_again) {
  order("SVC-TEMP", FaultStage::kJoin);
  EXPECT_EQ(join_shows(), "SVC-TEMP");
  ask("call.join", {{"passcode", "246810"}});
  EXPECT_TRUE(call_is("active"));
}

TEST_F(Faults, F91_F94_F124_an_activation_and_its_end_over_https) {
  ask("activation.activate", {{"pin", "4321"}});
  ASSERT_EQ(shown("activation"), "ACT-401");
  ask("activation.activate", {{"pin", "1234"}});
  ASSERT_TRUE(eventually([&] { return tree("activation").at("state") == "activated"; }));
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  ask("deactivateBTService");
  ASSERT_TRUE(eventually([&] { return tree("activation").at("state") == "deactivated"; }));
  ASSERT_TRUE(call_is("idle"));
  EXPECT_EQ(phones.list().at(0).state, PhoneState::kInactive);
  EXPECT_EQ(ask("call.join", {{"passcode", "246810"}})["error"]["data"]["id"], "JOIN-978");
  ask("activation.activate", {{"pin", "1234"}});
  ASSERT_TRUE(eventually([&] { return tree("activation").at("state") == "activated"; }));
  // The administrator's word: the token is worth nothing from now on.
  ASSERT_TRUE(phones.set_state(serial, PhoneState::kDeactivated).ok());
  EXPECT_EQ(join_shows(), "ACT-DISABLED");
  EXPECT_EQ(tree("activation").at("state"), "disabled by provider");
  EXPECT_EQ(activation_shows(), "ACT-423");
}

TEST_F(Faults, F125_the_service_sees_which_certificate_the_phone_shows) {
  // Certificate and key in one file, as the phone keeps its own.
  const std::string both = folder.path("device.pem");
  {
    std::ofstream out(both);
    out << std::ifstream(files.certificate_file).rdbuf() << std::ifstream(files.key_file).rdbuf();
  }
  EXPECT_EQ((order("ACT-500", FaultStage::kActivation), activation_shows()), "ACT-500");
  EXPECT_EQ(seen_certificate, "");
  ASSERT_TRUE(settings.apply(Layer::kLocal, {{"Security.Certificates.Device", both}}).ok());
  directory.phones[serial].certificate = std::string(64, '0');
  ask("ping");
  EXPECT_EQ(activation_shows(), "ACT-412");
  ASSERT_EQ(seen_certificate.size(), 64u);
  directory.phones[serial].certificate = seen_certificate;
  ask("activation.activate", {{"pin", "1234"}});
  EXPECT_TRUE(eventually([&] { return tree("activation").at("state") == "activated"; }));
}

}  // namespace
}  // namespace conclave::service
