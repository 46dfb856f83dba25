// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <mutex>
#include <numbers>
#include <string>
#include <thread>
#include <vector>

#include "base/audio_frame.h"
#include "base/clock.h"
#include "media/call_stream.h"
#include "media/sip/signalling.h"
#include "tests/integration/service/person.h"

namespace conclave::service {

/// A SIP telephone that nobody but its owner knows: rings, answers (or not), makes a tone and
/// remembers what it heard last.
class Callee {
 public:
  enum class Manner { kAnswers, kBusy, kRings };
  Callee(media::SipTransport transport, const std::string& folder, const std::string& ca,
         const std::string& certificate, const std::string& key, Manner manner = Manner::kAnswers)
      : transport_(transport), manner_(manner) {
    media::SignallingConfig config;
    config.transport = transport;
    config.bind_address = "127.0.0.1";
    config.user = "callee";
    config.folder = folder;
    if (transport == media::SipTransport::kTls) {
      config.ca_file = ca;
      config.certificate_file = certificate;
      config.key_file = key;
    }
    auto made =
        media::create_signalling(config, [this](const media::SignallingEvent& e) { on_event(e); });
    EXPECT_TRUE(made.ok()) << made.error().message;
    if (!made) return;
    const std::lock_guard lock(mutex_);
    signalling_ = std::move(*made);
    thread_ = std::thread([this] { live(); });
  }
  ~Callee() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    std::unique_ptr<media::Signalling> gone;
    {
      const std::lock_guard lock(mutex_);
      gone = std::move(signalling_);
    }
    gone.reset();
  }
  std::string address() const {
    const char* transport = transport_ == media::SipTransport::kTls   ? ";transport=tls"
                            : transport_ == media::SipTransport::kTcp ? ";transport=tcp"
                                                                      : "";
    const std::lock_guard lock(mutex_);
    return "sip:callee@127.0.0.1:" + std::to_string(signalling_->port()) + transport;
  }
  bool in_call() const { return in_call_; }
  bool secured() const {
    const std::lock_guard lock(mutex_);
    return stream_ && stream_->stats().secured;
  }
  std::string asked_for() const {
    const std::lock_guard lock(mutex_);
    return asked_for_;
  }
  void say(double hz) { hz_ = hz; }
  /// Level of a tone in the last 300 ms.
  double hears(double hz) const {
    const std::lock_guard lock(mutex_);
    const std::size_t size = std::min<std::size_t>(heard_.size(), 30 * kFrame);
    return tone_db({heard_.end() - static_cast<std::ptrdiff_t>(size), heard_.end()}, hz);
  }
  void hang_up() {
    const std::lock_guard lock(mutex_);
    if (signalling_) signalling_->hang_up(call_);
  }

 private:
  void on_event(const media::SignallingEvent& event) {
    const std::lock_guard lock(mutex_);
    if (!signalling_) return;
    if (event.kind == media::SignallingEvent::Kind::kEnded && event.call == call_) {
      in_call_ = false;
      return;
    }
    if (event.kind != media::SignallingEvent::Kind::kIncoming) return;
    asked_for_ = event.to;
    call_ = event.call;
    if (manner_ == Manner::kBusy) return signalling_->reject(event.call, 486, "Busy Here");
    signalling_->ring(event.call);
    if (manner_ == Manner::kRings) return;
    media::CallStreamConfig config;
    config.local_address = "127.0.0.1";
    auto stream = media::CallStream::create(config, uplink_, downlink_);
    ASSERT_TRUE(stream.ok());
    media::LocalMedia local;
    local.address = "127.0.0.1";
    local.port = (*stream)->local_port();
    local.ptime_ms = 20;
    local.require_srtp = transport_ == media::SipTransport::kTls;
    const auto answer = media::make_answer(*event.sdp, local);
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    ASSERT_TRUE((*stream)->start(answer->peer).ok());
    stream_ = std::move(*stream);
    signalling_->answer(event.call, answer->description);
    in_call_ = true;
  }
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
    }
  }

  const media::SipTransport transport_;
  const Manner manner_;
  AudioFrameRing uplink_{16}, downlink_{16};
  mutable std::mutex mutex_;
  std::unique_ptr<media::CallStream> stream_;
  std::unique_ptr<media::Signalling> signalling_;
  media::CallId call_ = 0;
  std::string asked_for_;
  std::vector<float> heard_;
  std::atomic<bool> in_call_{false}, stop_{false};
  std::atomic<double> hz_{0};
  std::thread thread_;
};

}  // namespace conclave::service
