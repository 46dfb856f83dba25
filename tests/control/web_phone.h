// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "control/phone/phone.h"
#include "control/web/certificate.h"
#include "control/web/portal.h"
#include "control/web/server.h"
#include "tests/control/fakes.h"
#include "tests/control/tls_client.h"
#include "tests/support/temp_folder.h"

namespace conclave::control::test {

/// A phone with a fake service and a fake engine behind the real web server.
class WebPhone : public ::testing::Test {
 protected:
  WebPhone() {
    audio_.metrics_.mic_count = 10;
    auto service = std::make_unique<FakeService>(&loop_);
    service_ = service.get();
    Phone::Parts parts;
    parts.settings = &settings_;
    parts.audio = &audio_;
    parts.service = std::move(service);
    parts.calls = [this] { return std::make_unique<FakeCall>(&loop_, &calls_); };
    PhoneConfig config;
    config.data_folder = folder_.path();
    phone_ = std::make_unique<Phone>(config, std::move(parts));
    loop_ = &phone_->loop();
    portal_ = std::make_unique<web::Portal>(*phone_, web::StaticFiles::load(""));
    const auto files = web::ensure_certificate(folder_.path(), {"127.0.0.1"});
    EXPECT_TRUE(files.ok());
    web::ServerConfig server;
    server.port = 0;
    server.certificate_file = files->certificate;
    server.key_file = files->key;
    auto created = web::Server::create(server, phone_->state(), *portal_, *portal_);
    EXPECT_TRUE(created.ok()) << created.error().message;
    server_ = std::move(*created);
    phone_->set_meter_sink(
        [this](std::string frame) { server_->publish_meters(std::move(frame)); });
    phone_->start();
  }
  ~WebPhone() override {
    phone_->stop();
    server_.reset();
  }

  int port() const { return server_->port(); }
  HttpAnswer login(const std::string& user, const std::string& password,
                   const std::string& extra = "") {
    return http(port(), "POST", "/api/v1/login", "Content-Type: application/json\r\n" + extra,
                nlohmann::json({{"user", user}, {"password", password}}).dump());
  }
  /// Cookie header value of a fresh login.
  std::string cookie() {
    const HttpAnswer answer = login("admin", "1739");
    const auto set = answer.headers.find("set-cookie");
    if (set == answer.headers.end()) return "";
    return set->second.substr(0, set->second.find(';'));
  }
  static std::string rpc(int id, const std::string& method,
                         const nlohmann::json& params = nlohmann::json::object()) {
    return nlohmann::json({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}})
        .dump();
  }

  conclave::test::TempFolder folder_;
  Registry settings_;
  FakeAudio audio_;
  FakeCalls calls_;
  Loop* loop_ = nullptr;
  FakeService* service_ = nullptr;
  std::unique_ptr<Phone> phone_;
  std::unique_ptr<web::Portal> portal_;
  std::unique_ptr<web::Server> server_;
};

}  // namespace conclave::control::test
