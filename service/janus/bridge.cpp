// SPDX-License-Identifier: Apache-2.0
#include "service/janus/bridge.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "service/janus/janus_api.h"
#include "service/janus/janus_child.h"
#include "service/janus/room_recorder.h"

namespace conclave::service {
namespace {

using nlohmann::json;

// Opus' complexity for the mix; who joins a crowd gets a cheaper encoder, which costs a seventh
// less of all that the mixer does.
constexpr int kQuality = 4;
constexpr int kQualityOfMany = 1;
constexpr std::size_t kManyMembers = 60;
constexpr const char* kLog = "service.bridge";
constexpr const char* kPlugin = "janus.plugin.audiobridge";
constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kFirstPause = 50 * kMs;
constexpr std::int64_t kLongestPause = 5000 * kMs;
constexpr std::int64_t kStableAfter = 10'000 * kMs;  // then a death counts as the first again
constexpr std::int64_t kReadyWithin = 5000 * kMs;
constexpr std::int64_t kJoinWithin = 2000 * kMs;
constexpr std::int64_t kRetryJoin = 500 * kMs;
constexpr std::int64_t kAskEvery = 2000 * kMs;
constexpr int kAskTimeoutMs = 1000;
constexpr int kRoomExists = 486;

std::uint64_t id_of(const json& answer) {
  const auto data = answer.find("data");
  if (data == answer.end() || !data->is_object()) return 0;
  const auto id = data->find("id");
  return id != data->end() && id->is_number_unsigned() ? id->get<std::uint64_t>() : 0;
}

/// What the plugin itself said.
json plugin_data(const json& answer) {
  const auto outer = answer.find("plugindata");
  if (outer == answer.end() || !outer->is_object()) return json::object();
  const auto data = outer->find("data");
  return data != outer->end() && data->is_object() ? *data : json::object();
}

int integer(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_number_integer() ? it->get<int>() : 0;
}

std::string text(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

struct Member {
  // Wanted.
  std::string room{};
  std::uint16_t local_port = 0;
  bool leaving = false;
  // As Janus has it.
  enum class State { kOut, kJoining, kIn };
  State state = State::kOut;
  std::uint64_t handle = 0;
  std::string transaction{};
  std::int64_t again_ns = 0;  ///< not before (kOut), or given up then (kJoining)
};

class JanusBridge final : public Bridge {
 public:
  JanusBridge(const BridgeConfig& config, JanusInstallation installation, Handler handler)
      : config_(config),
        installation_(std::move(installation)),
        handler_(std::move(handler)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        recorder_(config.recordings, {config.recorded}) {}

  ~JanusBridge() override {
    stopping_.store(true);
    wake();
    if (thread_.joinable()) thread_.join();
    close(wake_);
  }

  Status run() {
    std::promise<Status> first;
    auto outcome = first.get_future();
    // Janus dies with the thread that forked it, so one thread does all.
    thread_ = std::thread([this, &first] {
      pthread_setname_np(pthread_self(), "bridge");
      Status status = start_janus();
      const bool ok = status.ok();
      first.set_value(std::move(status));
      if (ok) loop();
      stop_janus();
      recorder_.lost();  // whole files for what was going on
    });
    return outcome.get();
  }

  void add(const std::string& participant, const std::string& room,
           std::uint16_t local_port) override {
    tell([=, this] {
      Member member;
      member.room = room;
      member.local_port = local_port;
      members_[participant] = std::move(member);
    });
  }
  void remove(const std::string& participant) override {
    tell([=, this] {
      const auto it = members_.find(participant);
      if (it != members_.end()) it->second.leaving = true;
    });
  }
  void record(const std::string& room, bool recording) override {
    tell([=, this] { recorder_.want(room, recording); });
  }
  BridgeStatus status() const override {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  void wake() const {
    const std::uint64_t one = 1;
    if (::write(wake_, &one, sizeof one) < 0) return;  // full: it is awake anyway
  }
  void tell(std::function<void()> change) {
    {
      const std::lock_guard lock(mutex_);
      changes_.push_back(std::move(change));
    }
    wake();
  }

  Status start_janus() {
    CONCLAVE_CHECK_STATUS(child_.start(installation_, config_.folder));
    api_ = std::make_unique<JanusApi>(child_.url(), child_.secret());
    const std::int64_t deadline = SystemClock::now() + kReadyWithin;
    while (true) {
      auto created = api_->post("", {{"janus", "create"}}, 500);
      if (created && id_of(*created) != 0) {
        session_ = id_of(*created);
        break;
      }
      if (!child_.alive()) {
        return Error{"Janus ended while it was starting; see " + config_.folder + "/janus.log"};
      }
      if (SystemClock::now() > deadline) {
        child_.stop();
        return Error{"Janus did not answer within 5 s; see " + config_.folder + "/janus.log"};
      }
      usleep(10'000);
    }
    started_ns_ = SystemClock::now();
    next_ask_ns_ = started_ns_ + kAskEvery;
    stop_events_.store(false);
    events_thread_ =
        std::thread([this, url = child_.url(), secret = child_.secret(), session = session_] {
          pthread_setname_np(pthread_self(), "bridge-events");
          JanusApi api(url, secret);
          while (!stop_events_.load()) {
            auto events = api.poll(session, stop_events_);
            if (!events) {
              // Gone or going; the supervisor sees to it.
              for (int i = 0; i < 10 && !stop_events_.load(); ++i) usleep(10'000);
              continue;
            }
            tell([this, session, list = std::move(*events)] {
              if (session == session_) {
                for (const auto& event : list) on_event(event);
              }
            });
          }
        });
    log::info(kLog, "Janus is up", {{"pid", static_cast<int>(child_.pid())}});
    return {};
  }

  void stop_janus() {
    stop_events_.store(true);
    child_.stop();
    if (events_thread_.joinable()) events_thread_.join();
    session_ = 0;
    rooms_.clear();
  }

  void loop() {
    std::int64_t pause = kFirstPause;
    std::int64_t start_at = 0;
    while (!stopping_.load()) {
      std::deque<std::function<void()>> changes;
      {
        const std::lock_guard lock(mutex_);
        changes.swap(changes_);
      }
      for (const auto& change : changes) change();

      const std::int64_t now = SystemClock::now();
      if (session_ != 0 && !child_.alive()) {
        if (now - started_ns_ > kStableAfter) pause = kFirstPause;
        start_at = now + pause;
        log::warning(kLog, "Janus has died; starting it again",
                     {{"pause_ms", static_cast<long>(pause / kMs)}});
        pause = std::min(pause * 2, kLongestPause);
        lose_all();
      }
      if (session_ == 0 && now >= start_at) {
        if (const auto status = start_janus(); !status) {
          log::error(kLog, status.error().message);
          stop_janus();
          start_at = SystemClock::now() + pause;
          pause = std::min(pause * 2, kLongestPause);
        } else {
          const std::lock_guard lock(mutex_);
          ++status_.restarts;
        }
      }
      if (session_ != 0) {
        reconcile();
        ask_whether_alive();
      }
      publish();
      wait(session_ == 0 ? start_at : next_due());
    }
  }

  void wait(std::int64_t until) {
    std::array<pollfd, 2> fds{pollfd{wake_, POLLIN, 0}, pollfd{child_.pidfd(), POLLIN, 0}};
    const std::int64_t left = std::max<std::int64_t>(0, until - SystemClock::now());
    poll(fds.data(), child_.pidfd() >= 0 ? 2 : 1, static_cast<int>(left / kMs) + 1);
    std::uint64_t count = 0;
    if (::read(wake_, &count, sizeof count) < 0) return;
  }

  std::int64_t next_due() const {
    std::int64_t due = std::min(next_ask_ns_, recorder_.next_due_ns(SystemClock::now()));
    for (const auto& [id, member] : members_) {
      if (member.state != Member::State::kIn) due = std::min(due, member.again_ns);
    }
    return due;
  }

  void lose_all() {
    stop_janus();
    recorder_.lost();
    for (auto& [id, member] : members_) {
      if (member.state == Member::State::kIn) handler_(id, 0);
      member.state = Member::State::kOut;
      member.handle = 0;
      member.again_ns = 0;
    }
  }

  /// A process that lives but does not answer is as bad as a dead one.
  void ask_whether_alive() {
    if (SystemClock::now() < next_ask_ns_) return;
    next_ask_ns_ = SystemClock::now() + kAskEvery;
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (api_->post(path(), {{"janus", "keepalive"}}, kAskTimeoutMs)) return;
    }
    log::warning(kLog, "Janus does not answer; ending it");
    child_.kill_now();
  }

  std::string path(std::uint64_t handle = 0) const {
    return "/" + std::to_string(session_) + (handle != 0 ? "/" + std::to_string(handle) : "");
  }

  void reconcile() {
    const std::int64_t now = SystemClock::now();
    for (auto it = members_.begin(); it != members_.end();) {
      auto& [id, member] = *it;
      if (member.leaving) {
        if (member.handle != 0) detach(member.handle);
        const std::string room = member.room;
        it = members_.erase(it);
        close_if_empty(room);
        continue;
      }
      if (member.state == Member::State::kJoining && now >= member.again_ns) {
        retry(id, member, "no answer to the join");
      }
      if (member.state == Member::State::kOut && now >= member.again_ns) join(id, member);
      ++it;
    }
    recorder_.reconcile([this](const std::string& room) { return rooms_.count(room) != 0; },
                        [this](const json& body) { return tell_room(body); }, now);
  }

  /// A request about a room, on the handle that made it.
  bool tell_room(const json& body) {
    const auto room = rooms_.find(text(body, "room"));
    if (room == rooms_.end()) return false;
    const auto answer =
        api_->post(path(room->second), {{"janus", "message"}, {"body", body}}, kAskTimeoutMs);
    return answer && text(plugin_data(*answer), "audiobridge") == "success";
  }

  void close_if_empty(const std::string& room) {
    const bool used = std::any_of(members_.begin(), members_.end(),
                                  [&](const auto& m) { return m.second.room == room; });
    const auto it = rooms_.find(room);
    if (used || it == rooms_.end()) return;
    recorder_.closing(
        room, [this](const json& body) { return tell_room(body); }, SystemClock::now());
    const auto destroyed =
        api_->post(path(it->second),
                   {{"janus", "message"}, {"body", {{"request", "destroy"}, {"room", room}}}});
    if (!destroyed)
      log::warning(kLog, "closing a room failed", {{"why", destroyed.error().message}});
    detach(it->second);
    rooms_.erase(it);
  }

  void detach(std::uint64_t handle) {
    // A handle that cannot be given back goes with the session, at the latest with the process.
    if (const auto done = api_->post(path(handle), {{"janus", "detach"}}); !done) {
      log::debug(kLog, "detaching failed", {{"why", done.error().message}});
    }
  }

  std::uint64_t attach() {
    const auto attached = api_->post(path(), {{"janus", "attach"}, {"plugin", kPlugin}});
    return attached ? id_of(*attached) : 0;
  }

  bool ensure_room(const std::string& room) {
    if (rooms_.count(room) != 0) return true;
    const std::uint64_t handle = attach();
    if (handle == 0) return false;
    const auto answer = api_->post(path(handle), {{"janus", "message"},
                                                  {"body",
                                                   {{"request", "create"},
                                                    {"room", room},
                                                    {"permanent", false},
                                                    {"is_private", true},
                                                    {"sampling_rate", 48000},
                                                    {"allow_rtp_participants", true},
                                                    {"audiolevel_event", false},
                                                    {"audiolevel_ext", false},
                                                    {"default_prebuffering", config_.prebuffer},
                                                    {"record", false}}}});
    if (!answer) return false;
    const int error = integer(plugin_data(*answer), "error_code");
    if (error != 0 && error != kRoomExists) {
      log::warning(kLog, "Janus refused a room", {{"error", text(plugin_data(*answer), "error")}});
      return false;
    }
    rooms_[room] = handle;
    return true;
  }

  void join(const std::string& id, Member& member) {
    member.again_ns = SystemClock::now() + kRetryJoin;
    if (!ensure_room(member.room)) return;
    member.handle = attach();
    if (member.handle == 0) return;
    member.transaction = "j" + std::to_string(next_transaction_++);
    const auto answer = api_->post(
        path(member.handle),
        {{"janus", "message"},
         {"transaction", member.transaction},
         {"body",
          {{"request", "join"},
           {"room", member.room},
           {"id", id},
           {"muted", false},
           {"codec", "opus"},
           {"prebuffer", config_.prebuffer},
           {"quality", members_.size() > kManyMembers ? kQualityOfMany : kQuality},
           {"rtp",
            {{"ip", "127.0.0.1"}, {"port", member.local_port}, {"payload_type", kPayloadType}}}}}});
    if (!answer) return retry(id, member, answer.error().message);
    member.state = Member::State::kJoining;
    member.again_ns = SystemClock::now() + kJoinWithin;
  }

  void retry(const std::string& id, Member& member, const std::string& why) {
    log::warning(kLog, "joining the mix failed; trying again", {{"participant", id}, {"why", why}});
    if (member.handle != 0) detach(member.handle);
    member.handle = 0;
    member.state = Member::State::kOut;
    member.again_ns = SystemClock::now() + kRetryJoin;
  }

  void on_event(const json& event) {
    if (!event.is_object()) return;
    const std::string transaction = text(event, "transaction");
    const json data = plugin_data(event);
    for (auto& [id, member] : members_) {
      if (member.state != Member::State::kJoining || member.transaction != transaction) continue;
      const auto rtp = data.find("rtp");
      const int port = rtp != data.end() && rtp->is_object() ? integer(*rtp, "port") : 0;
      if (text(data, "audiobridge") != "joined" || port <= 0 || port > 65535) {
        return retry(id, member, text(data, "error"));
      }
      member.state = Member::State::kIn;
      handler_(id, static_cast<std::uint16_t>(port));
      return;
    }
  }

  void publish() {
    const std::lock_guard lock(mutex_);
    status_.running = session_ != 0;
    status_.pid = static_cast<int>(child_.pid());
    status_.joined =
        static_cast<int>(std::count_if(members_.begin(), members_.end(), [](const auto& m) {
          return m.second.state == Member::State::kIn;
        }));
  }

  const BridgeConfig config_;
  const JanusInstallation installation_;
  const Handler handler_;
  const int wake_;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::deque<std::function<void()>> changes_;
  BridgeStatus status_{};

  // The supervisor's own.
  JanusChild child_;
  RoomRecorder recorder_;
  std::unique_ptr<JanusApi> api_;
  std::uint64_t session_ = 0;
  std::int64_t started_ns_ = 0;
  std::int64_t next_ask_ns_ = 0;
  std::uint64_t next_transaction_ = 1;
  std::map<std::string, Member> members_;
  std::map<std::string, std::uint64_t> rooms_;  ///< room to the handle that made it
  std::atomic<bool> stop_events_{false};
  std::thread events_thread_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Bridge>> Bridge::start(const BridgeConfig& config, Handler handler) {
  CONCLAVE_TRY(auto installation, find_janus());
  auto bridge = std::make_unique<JanusBridge>(config, std::move(installation), std::move(handler));
  CONCLAVE_CHECK_STATUS(bridge->run());
  return std::unique_ptr<Bridge>(std::move(bridge));
}

}  // namespace conclave::service
