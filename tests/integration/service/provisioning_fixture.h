// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "control/phone/phone.h"
#include "service/lab_ca.h"
#include "service/provisioning/provisioning.h"
#include "tests/control/fakes.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {

/// A whole phone, and console and provisioning server over real HTTPS.
struct ProvisionedPhone : testing::Test {
  using Json = nlohmann::json;
  static inline std::optional<test::TempFolder> ca_folder;
  static inline LabCertificates files;
  static void SetUpTestSuite() {
    files = *ensure_lab_certificates(ca_folder.emplace().path(), {"localhost", "127.0.0.1"});
  }
  static void TearDownTestSuite() { ca_folder.reset(); }

  SystemClock clock;
  test::TempFolder service_folder, folder;
  FaultDesk faults;
  std::unique_ptr<Store> store;
  std::unique_ptr<Provisioning> desk;
  std::unique_ptr<HttpsServer> server;
  std::function<std::optional<HttpAnswer>(const HttpRequest&)> before;  // first word on a request
  std::mutex asked_mutex;
  std::vector<std::string> asked;  // paths

  control::Registry settings;
  control::test::FakeAudio audio;
  control::test::FakeCalls media;
  control::Loop* loop = nullptr;
  std::unique_ptr<control::Phone> phone;
  std::string serial;

  void SetUp() override {
    serial = control::ensure_serial_number(settings);
    start_service({});
    ASSERT_TRUE(
        issue_device_certificate(ca_folder->path(), serial, folder.path("device.pem")).ok());
    set({{"Security.Certificates.ServiceCa", files.ca_file},
         {"Provisioning.Console.Url", desk->console_address()},
         {"Conference.RequestTimeout", 2}});
  }
  void TearDown() override {
    stop_phone();
    server.reset();
  }

  void start_service(ProvisioningConfig config) {
    desk.reset();
    store = std::move(*Store::open(service_folder.path("service.db")));
    config.folder = service_folder.path("provisioning");
    config.ca_file = files.ca_file;
    Provisioning::Hooks hooks;
    hooks.notify = [this] {
      if (server) server->notify();
    };
    hooks.check_sync = [this](const std::string&) { return false; };
    auto made = Provisioning::create(config, clock, faults, *store, hooks);
    ASSERT_TRUE(made.ok()) << made.error().message;
    desk = std::move(*made);
    if (!server) listen(0);
    desk->set_origin("https://127.0.0.1:" + std::to_string(server->port()));
  }
  void listen(int port) {
    HttpsConfig https;
    https.port = port;
    https.certificate_file = files.certificate_file;
    https.key_file = files.key_file;
    https.roomy_paths = {"/provisioning/"};
    auto started = HttpsServer::start(https, [this](const HttpRequest& request) {
      if (!request.path.ends_with("/events")) {
        const std::lock_guard lock(asked_mutex);
        asked.push_back(request.path);
      }
      if (before) {
        if (auto answer = before(request)) return std::move(*answer);
      }
      if (request.path == FaultDesk::kLoopPath) return FaultDesk::loop();
      return desk->handle(request);
    });
    ASSERT_TRUE(started.ok()) << started.error().message;
    server = std::move(*started);
  }
  void start_phone() {
    control::Phone::Parts parts;
    parts.settings = &settings;
    parts.audio = &audio;
    parts.service = std::make_unique<control::test::FakeService>(&loop);
    parts.calls = [this] { return std::make_unique<control::test::FakeCall>(&loop, &media); };
    control::PhoneConfig config;
    config.data_folder = folder.path();
    config.provisioning = true;
    config.provisioning_first_retry = std::chrono::milliseconds(100);
    phone = std::make_unique<control::Phone>(config, std::move(parts));
    loop = &phone->loop();
    phone->start();
  }
  void stop_phone() {
    if (phone) phone->stop();
    phone.reset();
  }

  void set(const control::Registry::Request& values) {
    const auto outcome = settings.apply(control::Layer::kLocal, values);
    ASSERT_TRUE(outcome.ok()) << outcome.errors.begin()->second;
  }
  Json ask(const std::string& method, const Json& params = Json::object()) {
    std::promise<std::string> answer;
    phone->handle(
        Json({{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}).dump(),
        {"admin", "", "test"}, [&](std::string text) { answer.set_value(text); });
    return Json::parse(answer.get_future().get());
  }
  Json tree() { return phone->state().snapshot()->state.value("provisioning", Json::object()); }
  std::string way(const char* name) { return tree()["ways"][name].value("state", ""); }
  bool state_is(const std::string& state, int limit_ms = 8000) {
    return control::test::eventually([&] { return tree().value("state", "") == state; }, limit_ms);
  }
  Json admin(const std::string& path, const Json& body = nullptr) {
    HttpRequest request;
    request.method = body.is_null() ? HttpMethod::kGet : HttpMethod::kPost;
    if (!body.is_null()) request.body = body.dump();
    const auto answer = desk->admin(request, path);
    EXPECT_TRUE(answer && answer->status / 100 == 2) << path << (answer ? answer->body : "");
    return Json::parse(answer->body);
  }
  /// The newest report, once there are at least so many.
  Json report(std::size_t count = 1) {
    Json reports;
    EXPECT_TRUE(control::test::eventually([&] {
      reports = admin("/phones/" + serial + "/report").at("reports");
      return reports.size() >= count;
    }));
    return reports.empty() ? Json::object() : reports[0];
  }
  std::size_t reports() { return admin("/phones/" + serial + "/report").at("reports").size(); }
  int times_asked(const std::string& end) {
    const std::lock_guard lock(asked_mutex);
    return static_cast<int>(std::count_if(asked.begin(), asked.end(),
                                          [&](const auto& path) { return path.ends_with(end); }));
  }
  void configure(const Json& parameters) {
    admin("/phones/" + serial + "/configuration",
          {{"provider", "conclave"}, {"parameters", parameters}});
  }
  void site(const std::string& text) { admin("/provisioning/sites/default", {{"text", text}}); }
};

}  // namespace conclave::service
