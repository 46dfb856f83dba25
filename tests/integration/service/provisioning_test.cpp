// SPDX-License-Identifier: Apache-2.0
// The three ways of setup, and what keeps a phone as its server wants it.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "tests/integration/service/provisioning_fixture.h"

namespace conclave::service {
namespace {

using control::Key;
using control::Layer;
using control::test::eventually;
using Json = nlohmann::json;

struct PhoneSetup : ProvisionedPhone {};

TEST_F(PhoneSetup, F22_F23_F31_F36_a_known_phone_is_configured_without_anybody_typing) {
  configure({{"Sip.Account.DisplayName", "Room 4"}, {"Audio.Agc.Target", -20}});
  start_phone();
  ASSERT_TRUE(state_is("ready")) << tree().dump(1);
  EXPECT_EQ(settings.get_text(Key::kSipAccountDisplayName), "Room 4");
  EXPECT_EQ(settings.layer_of(Key::kSipAccountDisplayName), Layer::kDevice);
  EXPECT_EQ(settings.get_text(Key::kProvisioningSetupMethod), "Plug-and-Play Setup");
  EXPECT_EQ(tree().at("server"), desk->server_address());
  EXPECT_EQ(way("plug_and_play"), "in use");
  EXPECT_EQ(way("automatic_local"), "not tried");
  EXPECT_FALSE(tree().contains("question"));
  const Json told = report();
  EXPECT_EQ(told.at("verdict"), "applied");
  EXPECT_EQ(told.at("method"), "Plug-and-Play Setup");
  EXPECT_EQ(told.at("serial"), serial);
  EXPECT_NE(
      std::find(told.at("changed").begin(), told.at("changed").end(), "Sip.Account.DisplayName"),
      told.at("changed").end());
  EXPECT_EQ(told.dump().find("Room 4"), std::string::npos) << "a report holds no values";
}

TEST_F(PhoneSetup, a_new_phone_is_the_one_that_its_certificate_names) {
  ASSERT_TRUE(
      issue_device_certificate(ca_folder->path(), "CV-NEW.1", folder.path("device.pem")).ok());
  ASSERT_TRUE(settings.set_state(Key::kDeviceSerialNumber, std::string()).ok());
  admin("/phones/CV-NEW.1/configuration", {{"provider", "conclave"}});
  start_phone();
  ASSERT_TRUE(state_is("ready")) << tree().dump(1);
  EXPECT_EQ(settings.get_text(Key::kDeviceSerialNumber), "CV-NEW.1");
}

TEST_F(PhoneSetup, F32_an_unknown_phone_shows_the_providers_and_one_is_picked) {
  admin("/provisioning/providers",
        {{"providers",
          {{{"id", "a"}, {"name", "Provider A"}}, {{"id", "b"}, {"name", "Provider B"}}}}});
  start_phone();
  ASSERT_TRUE(state_is("choosing_provider")) << tree().dump(1);
  EXPECT_EQ(tree().at("question").at("kind"), "provider");
  EXPECT_EQ(tree().at("question").at("providers").at("b").at("name"), "Provider B");
  EXPECT_TRUE(ask("provisioning.choose", {{"provider", "c"}}).contains("error"));
  EXPECT_FALSE(ask("provisioning.choose", {{"provider", "Provider B"}}).contains("error"));
  ASSERT_TRUE(state_is("ready")) << tree().dump(1);
  EXPECT_EQ(desk->shelf().device(serial).provider, "b");
}

TEST_F(PhoneSetup, F32_a_provider_in_the_settings_is_picked_by_itself) {
  set({{"Provisioning.Provider", "Conclave laboratory"}});
  start_phone();
  ASSERT_TRUE(state_is("ready")) << tree().dump(1);
}

TEST_F(PhoneSetup, F33_F35_F36_the_local_network_comes_second_and_is_confirmed) {
  set({{"Provisioning.Console.Url", "https://127.0.0.1:1"},
       {"Provisioning.Discovery.DnsSrv", false}});
  start_phone();
  phone->set_lease(*control::parse_lease_options(
      {{"options", {{"160", desk->server_address()}, {"66", "127.0.0.9"}}}}));
  ASSERT_TRUE(state_is("confirming")) << tree().dump(1);
  EXPECT_EQ(tree()["ways"]["plug_and_play"].at("error").at("id"), "NET-950");
  const Json question = tree().at("question");
  EXPECT_EQ(question.at("servers").at("1").at("address"), desk->server_address());
  EXPECT_EQ(question.at("servers").at("1").at("found_by"), "DHCP option 160");
  EXPECT_EQ(times_asked("phone.conf"), 0) << "nothing without a confirmation";
  EXPECT_FALSE(ask("provisioning.confirm", {{"accept", true}}).contains("error"));
  ASSERT_TRUE(state_is("ready")) << tree().dump(1);
  EXPECT_EQ(settings.get_text(Key::kProvisioningSetupMethod), "Automatic Local Setup");
}

TEST_F(PhoneSetup, F33_a_local_server_that_fails_gives_way_to_the_next_one) {
  set({{"Provisioning.Console.Url", "https://127.0.0.1:1"},
       {"Provisioning.Discovery.DnsSrv", false}});
  start_phone();
  phone->set_lease(*control::parse_lease_options(
      {{"options", {{"160", "https://127.0.0.1:1/p"}, {"66", desk->server_address()}}}}));
  ASSERT_TRUE(state_is("confirming"));
  ask("provisioning.confirm", {{"accept", true}});
  ASSERT_TRUE(eventually([&] {
    return tree().value("state", "") == "confirming" && tree()["question"]["servers"].size() == 1u;
  })) << tree().dump(1);
  ask("provisioning.confirm", {{"accept", true}});
  ASSERT_TRUE(state_is("ready")) << tree().dump(1);
}

TEST_F(PhoneSetup, F34_F35_manual_setup_comes_last_and_an_address_is_typed) {
  set({{"Provisioning.Console.Url", "https://127.0.0.1:1"},
       {"Provisioning.Discovery.DnsSrv", false}});
  start_phone();
  ASSERT_TRUE(state_is("address_wanted")) << tree().dump(1);
  EXPECT_EQ(tree().at("question").at("kind"), "address");
  EXPECT_EQ(way("plug_and_play"), "impossible");
  EXPECT_EQ(way("automatic_local"), "impossible");
  for (const char* bad : {"http://127.0.0.1", "127.0.0.1", "https://", "https://u:p@h/"}) {
    EXPECT_TRUE(ask("provisioning.set_address", {{"address", bad}}).contains("error")) << bad;
  }
  const Json done = ask("provisioning.set_address", {{"address", desk->server_address() + "/"}});
  EXPECT_FALSE(done.contains("error")) << done;
  ASSERT_TRUE(state_is("ready")) << tree().dump(1);
  EXPECT_EQ(settings.get_text(Key::kProvisioningSetupMethod), "Manual Setup");
  EXPECT_EQ(way("manual"), "in use");
}

TEST_F(PhoneSetup, F35_a_way_that_is_not_allowed_is_not_tried) {
  set({{"Provisioning.Setup.Methods", "Manual Setup"}});
  start_phone();
  ASSERT_TRUE(state_is("address_wanted"));
  EXPECT_EQ(way("plug_and_play"), "not allowed");
  EXPECT_EQ(way("automatic_local"), "not allowed");
  EXPECT_EQ(times_asked("redirect"), 0);
  set({{"Provisioning.Setup.Methods", ""}});
  ASSERT_TRUE(state_is("off"));
  EXPECT_TRUE(ask("provisioning.resync").contains("error"));
  set({{"Provisioning.Setup.Methods", "Plug-and-Play Setup"}});
  ASSERT_TRUE(eventually([&] { return times_asked("redirect") > 0; }));
}

TEST_F(PhoneSetup, F81_F125_without_the_right_device_certificate_the_console_is_no_way) {
  test::TempFolder other;
  (void)ensure_lab_certificates(other.path(), {"localhost"});
  ASSERT_TRUE(issue_device_certificate(other.path(), serial, folder.path("device.pem")).ok());
  set({{"Provisioning.Discovery.DnsSrv", false}});
  start_phone();
  ASSERT_TRUE(state_is("address_wanted"));
  Json error = tree()["ways"]["plug_and_play"].at("error");
  EXPECT_EQ(error.at("id"), "ACT-412");
  EXPECT_EQ(error.at("detail").at("id"), "CERT-UNTRUSTED") << error;
  stop_phone();
  std::remove(folder.path("device.pem").c_str());
  start_phone();
  ASSERT_TRUE(state_is("address_wanted"));
  EXPECT_EQ(tree()["ways"]["plug_and_play"].at("error").at("id"), "ACT-412");
}

TEST_F(PhoneSetup, F31_a_phone_that_was_set_up_goes_straight_to_its_server_after_a_restart) {
  configure({{"Device.Name", "A"}});
  start_phone();
  ASSERT_TRUE(state_is("ready"));
  report();
  stop_phone();
  set({{"Provisioning.Console.Url", "https://127.0.0.1:1"}});
  start_phone();
  ASSERT_TRUE(state_is("ready")) << tree().dump(1);
  EXPECT_EQ(times_asked("redirect"), 1);
  EXPECT_EQ(report(2).at("verdict"), "unchanged");
  EXPECT_FALSE(ask("provisioning.restart", {{"confirm", true}}).contains("error"));
  EXPECT_TRUE(eventually([&] { return way("plug_and_play") == "impossible"; }));
}

TEST_F(PhoneSetup, an_unchanged_configuration_is_not_applied_and_not_even_sent) {
  site("conclave-configuration 1\n[site]\nDevice.Language = de\n");
  configure({{"Device.Name", "A"}});
  std::atomic<int> applied{0};
  start_phone();
  ASSERT_TRUE(state_is("ready"));
  report();
  const auto observing = settings.observe([&](auto) { ++applied; });
  ask("provisioning.resync");
  EXPECT_EQ(report(2).at("verdict"), "unchanged");
  EXPECT_TRUE(state_is("ready"));
  EXPECT_EQ(applied, 0) << "no setting was written";
  EXPECT_EQ(times_asked("site-default.conf"), 2);
  // Something else of the layers changes: it is applied.
  site("conclave-configuration 1\n[site]\nDevice.Language = fr\n");
  ask("provisioning.resync");
  EXPECT_EQ(report(3).at("verdict"), "applied");
  EXPECT_EQ(settings.get_text(Key::kDeviceLanguage), "fr");
}

TEST_F(PhoneSetup, F70_F71_a_parameter_taken_out_at_the_console_goes_back_on_the_phone) {
  site("conclave-configuration 1\n[site]\nDevice.Name = Site\n");
  configure({{"Device.Name", "Mine"}, {"Device.Language", "de"}});
  start_phone();
  ASSERT_TRUE(state_is("ready"));
  EXPECT_EQ(settings.get_text(Key::kDeviceName), "Mine");
  configure({{"Device.Language", "de"}});
  ask("provisioning.resync");
  EXPECT_TRUE(eventually([&] { return settings.get_text(Key::kDeviceName) == "Site"; }));
  EXPECT_EQ(settings.get_text(Key::kDeviceLanguage), "de");
}

TEST_F(PhoneSetup, F78_the_administrator_asks_for_a_resync_and_an_idle_phone_comes_at_once) {
  std::atomic<int> waiting{0};
  before = [&](const HttpRequest& request) -> std::optional<HttpAnswer> {
    if (request.query.find("since=") == std::string::npos) return std::nullopt;
    HttpAnswer answer = desk->handle(request);
    if (answer.wait_s > 0) ++waiting;
    return answer;
  };
  start_phone();
  ASSERT_TRUE(state_is("choosing_provider"));
  ask("provisioning.choose", {{"provider", "conclave"}});
  ASSERT_TRUE(state_is("ready"));
  configure({{"Device.Name", "New"}});
  report();
  ASSERT_TRUE(eventually([&] { return waiting.load() > 0; }));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(admin("/phones/" + serial + "/resync", Json::object()),
            (Json{{"sip", false}, {"waiting", true}}));
  ASSERT_TRUE(eventually([&] { return settings.get_text(Key::kDeviceName) == "New"; }));
  const double ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  RecordProperty("resync_ms", static_cast<int>(ms));
  std::printf("from the administrator's word to the setting in force: %.0f ms\n", ms);
}

TEST_F(PhoneSetup, SIP_NOTIFY_check_sync_in_a_call_makes_the_phone_look) {
  configure({{"Device.Name", "A"}});
  start_phone();
  ASSERT_TRUE(state_is("ready"));
  report();
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(eventually(
      [&] { return phone->state().snapshot()->state["call"].value("state", "") == "active"; }));
  phone->loop().run([&] { media.events.notified("message-summary"); });
  phone->loop().run([&] { media.events.notified("check-sync"); });
  EXPECT_EQ(report(2).at("reason"), "SIP NOTIFY check-sync");
}

TEST_F(PhoneSetup, a_server_that_is_away_is_asked_again_and_the_configuration_stays) {
  configure({{"Device.Name", "A"}});
  start_phone();
  ASSERT_TRUE(state_is("ready"));
  const int port = server->port();
  server.reset();
  ask("provisioning.resync");
  ASSERT_TRUE(state_is("waiting"));
  EXPECT_EQ(tree().at("error").at("id"), "NET-950");
  EXPECT_EQ(settings.get_text(Key::kDeviceName), "A");
  EXPECT_EQ(tree().at("server"), desk->server_address());
  ASSERT_TRUE(eventually([&] { return tree().value("attempt", 0) >= 3; }));
  listen(port);
  ASSERT_TRUE(state_is("ready")) << tree().dump(1);
  EXPECT_FALSE(tree().contains("error"));
}

TEST_F(PhoneSetup, F89_a_configuration_makes_the_phone_download_a_ca) {
  test::TempFolder other;
  const auto theirs = *ensure_lab_certificates(other.path(), {"localhost", "127.0.0.1"});
  std::ifstream in(theirs.ca_file);
  admin("/provisioning/cas/other", {{"text", std::string(std::istreambuf_iterator<char>(in), {})}});
  configure({{"Security.Certificates.DownloadUrl", desk->server_address() + "/ca/other.pem"}});
  start_phone();
  ASSERT_TRUE(state_is("ready"));
  const Json told = report();
  EXPECT_TRUE(told.at("ca").at("ok").get<bool>()) << told;
  // A server of that CA is trusted from now on.
  HttpsConfig https;
  https.certificate_file = theirs.certificate_file;
  https.key_file = theirs.key_file;
  auto second = HttpsServer::start(https, [](const HttpRequest&) {
    HttpAnswer answer;
    answer.content_type = "text/plain";
    answer.body = "conclave-configuration 1\n[site]\nDevice.Name = By the other CA\n";
    return answer;
  });
  ASSERT_TRUE(second.ok());
  ask("provisioning.set_address",
      {{"address", "https://127.0.0.1:" + std::to_string((*second)->port()) + "/x"}});
  EXPECT_TRUE(eventually([&] { return settings.get_text(Key::kDeviceName) == "By the other CA"; }))
      << tree().dump(1);
}

TEST_F(PhoneSetup, F89_a_ca_that_is_none_is_refused_and_reported) {
  configure({{"Security.Certificates.DownloadUrl", desk->console_address() + "/redirect"}});
  start_phone();
  ASSERT_TRUE(state_is("ready"));
  const Json told = report();
  EXPECT_FALSE(told.at("ca").at("ok").get<bool>());
  EXPECT_FALSE(told.at("ca").at("why").get<std::string>().empty());
}

/// dnsmasq as the name server of the local network.
class NameServer {
 public:
  explicit NameServer(const std::vector<std::string>& records) {
    port_ = 20000 + ::getpid() % 20000;
    std::vector<std::string> command{
        "dnsmasq",           "--keep-in-foreground", "--conf-file=/dev/null",
        "--no-resolv",       "--no-hosts",           "--listen-address=127.0.0.1",
        "--bind-interfaces", "--pid-file=",          "--port=" + std::to_string(port_),
        "--log-facility=-"};
    if (::getuid() == 0) command.insert(command.end(), {"--user=root"});
    command.insert(command.end(), records.begin(), records.end());
    std::vector<char*> argv;
    for (auto& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    child_ = ::fork();
    if (child_ == 0) {
      ::setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
      ::execvp("dnsmasq", argv.data());
      ::_exit(127);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    int status = 0;
    if (::waitpid(child_, &status, WNOHANG) == child_) child_ = -1;
  }
  ~NameServer() {
    if (child_ <= 0) return;
    ::kill(child_, SIGTERM);
    ::waitpid(child_, nullptr, 0);
  }
  bool runs() const { return child_ > 0; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  pid_t child_ = -1;
  int port_ = 0;
};

TEST_F(PhoneSetup, F33_a_server_announced_by_a_DNS_SRV_record_is_found) {
  const std::string port = std::to_string(server->port());
  const NameServer dns({"--local=/lab.test/",
                        "--srv-host=_conclave-prov._tcp.lab.test,localhost," + port + ",10,5",
                        "--srv-host=_conclave-prov._tcp.lab.test,backup.lab.test,443,20,5"});
  if (!dns.runs()) GTEST_SKIP() << "needs dnsmasq (Debian package dnsmasq-base)";
  set({{"Provisioning.Console.Url", "https://127.0.0.1:1"},
       {"Network.Dns.DomainName", "lab.test"}});
  start_phone();
  phone->set_lease(*control::parse_lease_options({{"dns", {dns.address()}}}));
  ASSERT_TRUE(state_is("confirming", 20'000)) << tree().dump(1);
  const Json servers = tree().at("question").at("servers");
  EXPECT_EQ(servers.at("1").at("address"), "https://localhost:" + port + "/provisioning");
  EXPECT_EQ(servers.at("1").at("found_by"), "DNS SRV");
  EXPECT_EQ(servers.at("2").at("address"), "https://backup.lab.test/provisioning");
  ask("provisioning.confirm", {{"accept", true}});
  ASSERT_TRUE(state_is("ready")) << tree().dump(1);
  EXPECT_EQ(settings.get_text(Key::kProvisioningSetupAddress),
            "https://localhost:" + port + "/provisioning");
}

TEST_F(PhoneSetup, F33_a_console_announced_by_a_DNS_SRV_record_is_asked_like_the_providers) {
  const std::string port = std::to_string(server->port());
  const NameServer dns(
      {"--local=/lab.test/", "--srv-host=_conclave-cons._tcp.lab.test,localhost," + port});
  if (!dns.runs()) GTEST_SKIP() << "needs dnsmasq (Debian package dnsmasq-base)";
  configure({{"Device.Name", "By the local console"}});
  set({{"Provisioning.Console.Url", "https://127.0.0.1:1"}});
  start_phone();
  phone->set_lease(
      *control::parse_lease_options({{"dns", {dns.address()}}, {"domain", "lab.test"}}));
  ASSERT_TRUE(state_is("confirming", 20'000)) << tree().dump(1);
  EXPECT_TRUE(tree().at("question").at("servers").at("1").at("console").get<bool>());
  ask("provisioning.confirm", {{"accept", true}});
  ASSERT_TRUE(state_is("ready")) << tree().dump(1);
  EXPECT_EQ(settings.get_text(Key::kDeviceName), "By the local console");
  EXPECT_EQ(settings.get_text(Key::kProvisioningSetupMethod), "Automatic Local Setup");
}

}  // namespace
}  // namespace conclave::service
