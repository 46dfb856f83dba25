// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "control/calls/media_call.h"
#include "control/conference/service_api.h"
#include "control/errors/catalogue.h"
#include "control/phone/audio_port.h"

namespace conclave::control::test {

inline ServiceFailure failure(const std::string& id, bool reached, bool token_rejected = false) {
  ServiceFailure f;
  f.error = catalogue_error(id);
  f.reached = reached;
  f.retryable = find_error(id)->retryable;
  f.token_rejected = token_rejected;
  return f;
}

/// Answers as it is told; records what it was asked. Control loop.
class FakeService final : public ServiceApi {
 public:
  explicit FakeService(Loop** loop) : loop_(loop) {}

  std::optional<ServiceFailure> login_fails, join_fails, roster_fails, mute_fails;
  std::optional<ServiceFailure> command_fails, renew_fails;
  int expires_in_s = 3600;
  std::size_t server_count = 1, selected = 0;
  int silent_servers = 0;  ///< so many of the first say nothing
  std::optional<service::protocol::JoinResponse> join_answer;
  std::optional<ServiceFailure> activate_fails, deactivate_fails;
  bool silent = false;  ///< answers nothing at all
  service::protocol::Roster roster_now;
  std::vector<std::string> asked;
  std::string display_name, email, token_seen, activation_seen;
  Done<service::protocol::Roster> waiting_poll;

  void login(const service::protocol::LoginRequest& request,
             Done<service::protocol::LoginResponse> done) override {
    asked.emplace_back("login");
    display_name = request.display_name;
    activation_seen = request.activation;
    answer<service::protocol::LoginResponse>(std::move(done), login_fails,
                                             {"token-1", expires_in_s});
  }
  void renew(const std::string& token, Done<service::protocol::LoginResponse> done) override {
    asked.emplace_back("renew " + token);
    answer<service::protocol::LoginResponse>(std::move(done), renew_fails, {"token-2", 3600});
  }
  void activate(const service::protocol::ActivationRequest& request,
                Done<service::protocol::ActivationResponse> done) override {
    asked.emplace_back("activate " + request.pin);
    answer<service::protocol::ActivationResponse>(std::move(done), activate_fails, {"act-1"}, true);
  }
  void deactivate(const std::string& token, Done<bool> done) override {
    asked.emplace_back("deactivate " + token);
    answer<bool>(std::move(done), deactivate_fails, true, true);
  }
  void join(const std::string& token, const service::protocol::JoinRequest& request,
            Done<service::protocol::JoinResponse> done) override {
    asked.emplace_back("join " + request.passcode);
    token_seen = token;
    email = request.email;
    display_name = request.display_name;
    service::protocol::JoinResponse ok;
    ok.conference = {"c1", "Project room"};
    ok.participant = {"p1", service::protocol::Role::kChairperson};
    ok.sip = {"sip:c1@127.0.0.1:5061", "127.0.0.1", 5061, "tls"};
    if (join_answer) ok = *join_answer;
    answer<service::protocol::JoinResponse>(std::move(done), join_fails, ok);
  }
  void roster(const std::string&, const std::string&, std::optional<std::uint64_t> since,
              Done<service::protocol::Roster> done) override {
    asked.emplace_back(since ? "poll" : "roster");
    if (since && !roster_fails) {
      waiting_poll = std::move(done);
      return;
    }
    answer<service::protocol::Roster>(std::move(done), roster_fails, roster_now);
  }
  void mute(const std::string&, const std::string&, const std::string&, bool muted,
            Done<bool> done) override {
    asked.emplace_back(muted ? "mute" : "unmute");
    answer<bool>(std::move(done), mute_fails, true);
  }
  void command(const std::string&, const std::string&, const MeetingCommand& command,
               Done<std::string> done) override {
    asked.emplace_back("command " + std::to_string(static_cast<int>(command.verb)) + " " +
                       command.participant + command.to + (command.on ? " on" : " off"));
    answer<std::string>(
        std::move(done), command_fails,
        command.verb == MeetingCommand::Verb::kDialOut ? std::string("p9") : std::string());
  }
  void leave(const std::string&, const std::string&, const std::string&, Done<bool> done) override {
    asked.emplace_back("leave");
    answer<bool>(std::move(done), std::nullopt, true);
  }
  void cancel_all() override {
    ++epoch_;
    waiting_poll = nullptr;
  }
  std::size_t servers() const override { return server_count; }
  void select(std::size_t server) override { selected = server; }
  int count(const std::string& what) const {
    return static_cast<int>(std::count(asked.begin(), asked.end(), what));
  }

 private:
  template <typename T>
  void answer(Done<T> done, const std::optional<ServiceFailure>& fails, T ok,
              bool activation = false) {
    if (silent || static_cast<int>(selected) < silent_servers) return;
    ServiceResult<T> result = std::move(ok);
    if (fails) result = *fails;
    (*loop_)->post(
        [this, activation, asked_in = epoch_, done = std::move(done), result = std::move(result)] {
          // Activation has a service of its own outside of tests.
          if (activation || asked_in == epoch_) done(result);
        });
  }
  Loop** loop_;
  std::uint64_t epoch_ = 0;
};

/// What all fake calls share.
struct FakeCalls {
  std::optional<Error> start_fails, refuse;
  bool answers = true;
  bool sound = true;     ///< packets keep coming
  int silent_hosts = 0;  ///< so many of the first calls are not answered
  int made = 0, alive = 0;
  std::vector<MediaCallConfig> configs;
  MediaCall::Events events;  ///< of the newest call
  std::uint64_t packets = 0;
};

class FakeCall final : public MediaCall {
 public:
  FakeCall(Loop** loop, FakeCalls* shared) : loop_(loop), shared_(shared) {
    ++shared_->made;
    ++shared_->alive;
  }
  ~FakeCall() override { --shared_->alive; }
  Status start(const MediaCallConfig& config, Events events) override {
    shared_->configs.push_back(config);
    if (shared_->start_fails) return *shared_->start_fails;
    shared_->events = events;
    const bool silent = shared_->made <= shared_->silent_hosts;
    (*loop_)->post([shared = shared_, events, silent, tunnel = config.tunnel_mode] {
      if (events.route) {
        events.route(tunnel == TunnelMode::kAlways ? Route::kTunnel : Route::kDirect);
      }
      if (silent) return;
      if (shared->refuse) {
        events.ended(*shared->refuse, false);
      } else if (shared->answers) {
        events.answered({"Opus 48 kHz 10 ms", "SRTP AEAD_AES_256_GCM, SIP over TLS"});
      }
    });
    return {};
  }
  void set_muted(bool) override {}
  media::CallStats stats() const override {
    media::CallStats stats;
    if (shared_->sound) shared_->packets += 50;
    stats.rx_packets = shared_->packets;
    stats.mos = 4.2;
    return stats;
  }

 private:
  Loop** loop_;
  FakeCalls* shared_;
};

/// An engine that is not there: keeps the parameters, shows the metrics it is given.
class FakeAudio final : public AudioPort {
 public:
  void set_params(const engine::EngineParams& params) override {
    params_ = params;
    muted = params.muted;
    in_call = params.in_call;
    gain_db = params.speaker_gain_db;
  }
  const engine::EngineMetrics& metrics() override { return metrics_; }
  Recording recording(double seconds) const override {
    Recording r;
    r.sample_rate = 48000;
    r.raw.assign(static_cast<std::size_t>(seconds * 48000), 0.25F);
    r.sent.assign(r.raw.size(), -0.5F);
    return r;
  }
  void drain() override {}

  engine::EngineMetrics metrics_;
  engine::EngineParams params_;
  std::atomic<bool> muted{false};
  std::atomic<bool> in_call{true};
  std::atomic<float> gain_db{0};
};

/// Waits until a condition holds, at most `limit_ms`.
inline bool eventually(const std::function<bool()>& condition, int limit_ms = 5000) {
  for (int i = 0; i < limit_ms / 5; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return condition();
}

}  // namespace conclave::control::test
