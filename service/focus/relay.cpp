// SPDX-License-Identifier: Apache-2.0
#include "service/focus/relay.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "service/focus/leg.h"

namespace conclave::service {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr int kLongestWaitMs = 200;
constexpr std::uint64_t kBridgeSide = 1;  // lowest bit of the epoll tag

class EpollRelay final : public Relay {
 public:
  EpollRelay(const RelayConfig& config, Listener listener)
      : config_(config),
        listener_(std::move(listener)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    watch(wake_, 0);
  }

  ~EpollRelay() override {
    stopping_.store(true);
    wake();
    if (thread_.joinable()) thread_.join();
    legs_.clear();
    ::close(epoll_);
    ::close(wake_);
  }

  Status run() {
    // Fails early when the address is not this machine's.
    CONCLAVE_TRY(const auto probe, Leg::create(config_.media_address));
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "relay");
      while (!stopping_.load()) turn();
    });
    return {};
  }

  Result<LegPorts> open() override {
    CONCLAVE_TRY(auto leg, Leg::create(config_.media_address));
    const std::lock_guard lock(mutex_);
    LegPorts out{next_++, leg->phone_port(), leg->bridge_port()};
    if (!watch(leg->phone_fd(), out.leg << 1) ||
        !watch(leg->bridge_fd(), out.leg << 1 | kBridgeSide)) {
      return Error{std::string("Cannot watch a media socket: ") + std::strerror(errno)};
    }
    legs_[out.leg] = std::move(leg);
    return out;
  }

  Status connect(LegId id, const media::MediaPeer& peer) override {
    Status status = Error{"This call has ended"};
    {
      const std::lock_guard lock(mutex_);
      if (Leg* leg = find(id)) status = leg->connect(peer, SystemClock::now());
    }
    wake();
    return status;
  }
  void set_bridge_port(LegId id, std::uint16_t port) override {
    const std::lock_guard lock(mutex_);
    if (Leg* leg = find(id)) leg->set_bridge_port(port);
  }
  void set_muted(LegId id, bool muted) override {
    {
      const std::lock_guard lock(mutex_);
      if (Leg* leg = find(id)) leg->set_muted(muted);
    }
    wake();
  }
  void close(LegId id) override {
    std::unique_ptr<Leg> gone;
    const std::lock_guard lock(mutex_);
    const auto it = legs_.find(id);
    if (it == legs_.end()) return;
    it->second->say_bye(SystemClock::now());
    gone = std::move(it->second);
    legs_.erase(it);
  }
  LegStats stats(LegId id) const override {
    const std::lock_guard lock(mutex_);
    const auto it = legs_.find(id);
    return it == legs_.end() ? LegStats{} : it->second->stats();
  }

 private:
  Leg* find(LegId id) {
    const auto it = legs_.find(id);
    return it == legs_.end() ? nullptr : it->second.get();
  }
  bool watch(int fd, std::uint64_t tag) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tag;
    return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
  }
  void wake() const {
    const std::uint64_t one = 1;
    if (::write(wake_, &one, sizeof one) < 0) return;
  }

  void turn() {
    std::array<epoll_event, 64> events{};
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms());
    std::vector<std::pair<LegId, bool>>& talking = talking_;
    talking.clear();
    silent_.clear();
    {
      const std::lock_guard lock(mutex_);
      const std::int64_t now = SystemClock::now();
      for (int i = 0; i < count; ++i) {
        const std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
        if (tag == 0) {
          std::uint64_t ignored = 0;
          if (::read(wake_, &ignored, sizeof ignored) < 0) continue;
          continue;
        }
        Leg* leg = find(tag >> 1);
        if (leg == nullptr) continue;
        if ((tag & kBridgeSide) != 0) {
          leg->on_bridge(now);
        } else if (leg->on_phone(now)) {
          talking.emplace_back(tag >> 1, leg->talking());
        }
      }
      due_ns_ = OpusMerger::kNever;
      for (const auto& [id, leg] : legs_) {
        if (leg->next_due_ns() <= now && leg->on_time(now))
          talking.emplace_back(id, leg->talking());
        if (leg->take_silent(now, std::int64_t{config_.silent_after_s} * 1000 * kMs)) {
          silent_.push_back(id);
        }
        due_ns_ = std::min(due_ns_, leg->next_due_ns());
      }
    }
    // The listeners may call back into the relay.
    for (const auto& [id, now_talking] : talking) {
      if (listener_.talking) listener_.talking(id, now_talking);
    }
    for (const auto id : silent_) {
      if (listener_.silent) listener_.silent(id);
    }
  }

  int wait_ms() const {
    if (due_ns_ == OpusMerger::kNever) return kLongestWaitMs;
    const std::int64_t left = (due_ns_ - SystemClock::now() + kMs - 1) / kMs;
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, kLongestWaitMs));
  }

  const RelayConfig config_;
  const Listener listener_;
  const int epoll_;
  const int wake_;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::map<LegId, std::unique_ptr<Leg>> legs_;
  LegId next_ = 1;
  // The thread's own.
  std::int64_t due_ns_ = OpusMerger::kNever;
  std::vector<std::pair<LegId, bool>> talking_;
  std::vector<LegId> silent_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Relay>> Relay::start(const RelayConfig& config, Listener listener) {
  auto relay = std::make_unique<EpollRelay>(config, std::move(listener));
  CONCLAVE_CHECK_STATUS(relay->run());
  return std::unique_ptr<Relay>(std::move(relay));
}

}  // namespace conclave::service
