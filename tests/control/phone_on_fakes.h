// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <string>

#include "control/phone/phone.h"
#include "control/provider/profile.h"
#include "tests/control/fakes.h"
#include "tests/support/temp_folder.h"

namespace conclave::control::test {

/// A phone whose service, calls and sound are played: what its methods and its state tell.
class PhoneOnFakes : public ::testing::Test {
 protected:
  using Json = nlohmann::json;

  PhoneOnFakes() { start(); }
  ~PhoneOnFakes() override { phone_->stop(); }

  /// Also a second time, as after a restart: what the phone is made of is new, settings are not.
  void start() {
    auto service = std::make_unique<FakeService>(&loop_);
    service_ = service.get();
    Phone::Parts parts;
    parts.settings = &settings_;
    parts.audio = &audio_;
    parts.service = std::move(service);
    parts.calls = [this] { return std::make_unique<FakeCall>(&loop_, &calls_); };
    PhoneConfig config;
    config.data_folder = folder_.path();
    config.provider = to_json(built_in_provider_profile());
    phone_ = std::make_unique<Phone>(config, std::move(parts));
    loop_ = &phone_->loop();
    phone_->start();
  }
  Json ask(const std::string& method, const Json& params = Json::object()) {
    std::promise<std::string> answer;
    phone_->handle(
        Json({{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}).dump(),
        {"admin", "", "test"}, [&](std::string text) { answer.set_value(std::move(text)); });
    return Json::parse(answer.get_future().get());
  }
  Json tree(const char* part) { return phone_->state().snapshot()->state.at(part); }
  Json call() { return tree("call"); }
  bool call_is(const std::string& state, int limit_ms = 5000) {
    return eventually([&] { return call().at("state") == state; }, limit_ms);
  }
  void on_loop(const std::function<void()>& task) { phone_->loop().run(task); }

  conclave::test::TempFolder folder_;
  Registry settings_;
  FakeAudio audio_;
  FakeCalls calls_;
  Loop* loop_ = nullptr;
  FakeService* service_ = nullptr;
  std::unique_ptr<Phone> phone_;
};

}  // namespace conclave::control::test
