// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/audio_frame.h"
#include "base/clock.h"
#include "control/phone/phone.h"
#include "service/service.h"
#include "tests/control/fakes.h"
#include "tests/integration/service/person.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {

/// What an engine does for a call, with a tone for a mouth: takes and gives a frame each 10 ms.
class PhoneSound {
 public:
  PhoneSound(AudioFrameRing& uplink, AudioFrameRing& downlink)
      : uplink_(uplink), downlink_(downlink), thread_([this] { live(); }) {}
  ~PhoneSound() {
    stop_ = true;
    thread_.join();
  }
  void say(double hz) { hz_ = hz; }
  /// Level of a tone in the last 200 ms.
  double hears(double hz) const {
    const std::lock_guard lock(mutex_);
    const std::size_t size = std::min<std::size_t>(heard_.size(), 20 * kFrame);
    return tone_db({heard_.end() - static_cast<std::ptrdiff_t>(size), heard_.end()}, hz);
  }
  /// When a frame with this tone was first heard after `from`; 0: not yet.
  std::int64_t first_heard(double hz, std::int64_t from) const {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < times_.size(); ++i) {
      if (times_[i] < from) continue;
      const auto at = heard_.begin() + static_cast<std::ptrdiff_t>(i * kFrame);
      if (tone_db({at, at + kFrame}, hz) > -40) return times_[i];
    }
    return 0;
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    heard_.clear();
    times_.clear();
  }

 private:
  void live() {
    std::int64_t next = SystemClock::now();
    double phase = 0;
    std::uint64_t index = 0;
    while (!stop_) {
      next += 10 * kMs;
      std::this_thread::sleep_for(std::chrono::nanoseconds(next - SystemClock::now()));
      AudioFrame frame;
      frame.samples = kFrame;
      frame.index = index++;
      frame.time_ns = next;
      const double hz = hz_;
      for (int i = 0; i < kFrame; ++i) {
        frame.data[static_cast<std::size_t>(i)] =
            hz > 0 ? static_cast<float>(0.1 * std::sin(phase)) : 0.0F;
        phase += 2 * std::numbers::pi * hz / 48000;
      }
      uplink_.try_push(frame);
      AudioFrame in;
      if (!downlink_.try_pop(in)) continue;
      const std::lock_guard lock(mutex_);
      heard_.insert(heard_.end(), in.data.begin(), in.data.begin() + kFrame);
      times_.push_back(SystemClock::now());
    }
  }

  AudioFrameRing &uplink_, &downlink_;
  std::atomic<bool> stop_{false};
  std::atomic<double> hz_{0};
  mutable std::mutex mutex_;
  std::vector<float> heard_;
  std::vector<std::int64_t> times_;
  std::thread thread_;
};

/// A whole phone but for its engine, with real calls.
class TestPhone {
 public:
  TestPhone(const Service& service, const std::string& serial,
            const control::Registry::Request& more = {}) {
    control::Registry::Request values{{"Dvms.Server.Address", service.rest_address()},
                                      {"Security.Certificates.ServiceCa", service.ca_file()},
                                      {"Sip.Account.DisplayName", serial}};
    for (const auto& [name, value] : more) values[name] = value;
    const auto applied = settings.apply(control::Layer::kLocal, values);
    EXPECT_TRUE(applied.ok());
    for (const auto& [name, why] : applied.errors) ADD_FAILURE() << name << ": " << why;
    control::Phone::Parts parts;
    parts.settings = &settings;
    parts.audio = &audio;
    parts.uplink = &uplink;
    parts.downlink = &downlink;
    control::PhoneConfig config;
    config.data_folder = folder.path();
    phone = std::make_unique<control::Phone>(config, std::move(parts));
    phone->start();
  }
  ~TestPhone() {
    phone->stop();
    phone.reset();
  }
  nlohmann::json ask(const std::string& method,
                     const nlohmann::json& params = nlohmann::json::object()) {
    auto answer = std::make_shared<std::promise<std::string>>();
    auto text = answer->get_future();
    phone->handle(
        nlohmann::json({{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}})
            .dump(),
        {"admin", "", "test"}, [answer](std::string reply) { answer->set_value(reply); });
    if (text.wait_for(20s) != std::future_status::ready) return {{"error", "no answer"}};
    return nlohmann::json::parse(text.get());
  }
  nlohmann::json tree(const char* part) {
    const auto state = phone->state().snapshot();
    return state->state.value(part, nlohmann::json::object());
  }
  bool call_is(const std::string& state, std::chrono::milliseconds within = 10s) {
    return eventually([&] { return tree("call").value("state", "") == state; }, within);
  }
  bool join(const std::string& passcode) {
    ask("call.join", {{"passcode", passcode}});
    return call_is("active");
  }
  std::string error() {
    return tree("call").value(nlohmann::json::json_pointer("/error/id"), std::string("none"));
  }
  /// Id of the entry with this name, and the entry.
  std::pair<std::string, nlohmann::json> entry(const std::string& name) {
    const nlohmann::json roster = tree("roster");
    for (const auto& [id, value] : roster.items()) {
      if (value.value("name", "") == name) return {id, value};
    }
    return {"", nlohmann::json::object()};
  }

  test::TempFolder folder;
  control::Registry settings;
  control::test::FakeAudio audio;
  AudioFrameRing uplink{16}, downlink{16};
  std::unique_ptr<control::Phone> phone;
};

}  // namespace conclave::service
