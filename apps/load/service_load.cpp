// SPDX-License-Identifier: Apache-2.0
#include "apps/load/service_load.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "apps/far_end/rest_client.h"
#include "apps/load/light_call.h"
#include "base/clock.h"
#include "media/sip/signalling.h"
#include "service/protocol/messages.h"

namespace conclave::apps {
namespace {

namespace protocol = service::protocol;
using media::CallId;
using media::SignallingEvent;

constexpr std::int64_t kMs = 1'000'000;
constexpr auto kAnswerWithin = std::chrono::seconds(20);
constexpr int kRosterWaitS = 5;

double at_share(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto index = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  return values[index];
}

/// What SIP has said about one call.
struct Outcome {
  bool answered = false;
  bool ended = false;
  std::string reason{};
  std::optional<media::SessionDescription> answer{};
};

struct Phone {
  std::unique_ptr<LightCall> call{};
  std::unique_ptr<RestClient> roster_client{};
  protocol::JoinResponse place{};
  protocol::LoginRequest login{};
  CallId id = 0;
  std::int64_t begun_ns = 0;
};

class Load {
 public:
  Load(const ServiceLoadConfig& config, const std::function<void(const std::string&)>& progress)
      : config_(config), progress_(progress), phones_(static_cast<std::size_t>(config.phones)) {}

  ~Load() {
    stopping_ = true;
    for (auto& thread : threads_) thread.join();
    signalling_.reset();
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  Result<ServiceLoadReport> run() {
    CONCLAVE_TRY(speech_, LightSpeech::make(config_.ptime_ms));
    std::string folder = (std::filesystem::temp_directory_path() / "conclave-load-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) return Error{"cannot make a temporary folder"};
    folder_ = folder;
    media::SignallingConfig sip;
    sip.bind_address = "127.0.0.1";
    sip.user = "load";
    sip.folder = folder_;
    sip.ca_file = config_.ca_file;
    CONCLAVE_TRY(signalling_,
                 media::create_signalling(sip, [this](const SignallingEvent& e) { on_event(e); }));
    threads_.emplace_back([this] { carry(); });
    join_all();
    if (live_.empty()) return Error{"no phone could join: " + failures_text()};
    if (config_.rosters) threads_.emplace_back([this] { watch_rosters(); });
    measure();
    return report();
  }

 private:
  void tell(const std::string& line) const {
    if (progress_) progress_(line);
  }
  std::string failures_text() {
    const std::lock_guard lock(mutex_);
    return failures_.empty() ? std::string("for no reason") : *failures_.begin();
  }

  void on_event(const SignallingEvent& event) {
    const std::lock_guard lock(mutex_);
    auto& outcome = outcomes_[event.call];
    if (event.kind == SignallingEvent::Kind::kAnswered) {
      outcome.answered = true;
      outcome.answer = event.sdp;
      outcome.reason = event.detail;
    } else if (event.kind == SignallingEvent::Kind::kEnded) {
      outcome.ended = true;
      outcome.reason = std::to_string(event.code) + " " + event.reason + " " + event.detail;
      if (outcome.answered && !leaving_) ++ended_;
    }
    changed_.notify_all();
  }

  Status join(std::size_t index) {
    Phone& phone = phones_[index];
    const std::string serial = "LOAD" + std::to_string(index);
    RestClient rest(config_.rest, config_.ca_file);
    phone.begun_ns = SystemClock::now();
    phone.login = {serial, "Conclave load", "1", "Phone " + std::to_string(index)};
    CONCLAVE_CHECK_STATUS(rest.login(phone.login));
    const std::string& passcode = config_.passcodes[index % config_.passcodes.size()];
    CONCLAVE_TRY(phone.place, rest.join({passcode, "", phone.login.display_name}));
    const bool talks = index / config_.passcodes.size() < static_cast<std::size_t>(config_.talkers);
    CONCLAVE_TRY(phone.call, LightCall::create(*speech_, talks, static_cast<unsigned>(index)));
    media::LocalMedia local;
    local.address = "127.0.0.1";
    local.port = phone.call->port();
    local.ptime_ms = config_.ptime_ms;
    CONCLAVE_TRY(const auto offer, media::make_offer(local));
    media::SipInvite invite;
    invite.target = phone.place.sip.uri;
    invite.offer = offer;
    invite.headers.push_back(
        {std::string(protocol::kParticipantHeader),
         protocol::participant_header(phone.place.participant.id, rest.token())});
    CONCLAVE_TRY(phone.id, signalling_->invite(invite));
    std::optional<media::SessionDescription> answer;
    {
      std::unique_lock lock(mutex_);
      const bool in_time = changed_.wait_for(lock, kAnswerWithin, [&] {
        const Outcome& o = outcomes_[phone.id];
        return o.answered || o.ended;
      });
      if (!in_time) return Error{"the SIP server did not answer in time"};
      const Outcome& outcome = outcomes_[phone.id];
      if (outcome.ended || !outcome.answer) return Error{"refused: " + outcome.reason};
      answer = outcome.answer;
    }
    CONCLAVE_TRY(const auto peer, media::accept_answer(offer, *answer));
    CONCLAVE_CHECK_STATUS(phone.call->connect(peer));
    phone.roster_client = std::make_unique<RestClient>(config_.rest, config_.ca_file);
    const std::lock_guard lock(live_mutex_);
    live_.push_back(&phone);
    return {};
  }

  void join_all() {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i; (i = next++) < phones_.size();) {
        if (const Status joined = join(i); !joined) {
          const std::lock_guard lock(mutex_);
          failures_.insert(joined.error().message);
        }
        if (i % 50 == 49) tell("joined " + std::to_string(i + 1));
      }
    };
    std::vector<std::thread> workers;
    for (int i = 0; i < config_.joining_at_once; ++i) workers.emplace_back(work);
    for (auto& worker : workers) worker.join();
  }

  /// Sends what is due and takes what has come, for all phones; the one thread with sound.
  void carry() {
    const std::int64_t period = config_.ptime_ms * kMs;
    std::int64_t due = SystemClock::now() + period;
    std::vector<Phone*> mine;
    while (!stopping_) {
      {
        const std::lock_guard lock(live_mutex_);
        mine = live_;
      }
      const std::int64_t late = SystemClock::now() - due;
      if (measuring_)
        late_ms_.push_back(static_cast<double>(std::max<std::int64_t>(late, 0)) / 1e6);
      for (Phone* phone : mine) {
        phone->call->send();
        phone->call->receive(SystemClock::now());
      }
      due += period;
      const std::int64_t left = due - SystemClock::now();
      if (left > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(left));
      if (left < -1000 * kMs) due = SystemClock::now();  // the machine was away
    }
  }

  /// A few phones at a time ask for their rosters; more would be this program's own load.
  void watch_rosters() {
    constexpr std::size_t kWatchers = 16;
    std::vector<std::thread> watchers;
    for (std::size_t w = 0; w < kWatchers && w < live_.size(); ++w) {
      watchers.emplace_back([this, w] {
        Phone& phone = *live_[w];
        RestClient& rest = *phone.roster_client;
        if (!rest.login(phone.login)) return;
        const auto place =
            rest.join({config_.passcodes[w % config_.passcodes.size()], "", "watch"});
        if (!place) return;
        std::uint64_t revision = 0;
        while (!stopping_) {
          const auto roster = rest.poll_roster(place->conference.id, revision, kRosterWaitS);
          if (!roster) return;
          revision = roster->revision;
          ++rosters_;
        }
      });
    }
    for (auto& watcher : watchers) watcher.join();
  }

  void measure() {
    tell("measuring " + std::to_string(static_cast<int>(config_.seconds)) + " s");
    std::this_thread::sleep_for(std::chrono::seconds(2));  // the last ones get their first packets
    for (Phone* phone : live_) phone->call->begin_measuring();
    measuring_ = true;
    if (config_.measured) config_.measured(true);
    const std::int64_t begin = SystemClock::now();
    std::this_thread::sleep_for(std::chrono::duration<double>(config_.seconds));
    measuring_ = false;
    if (config_.measured) config_.measured(false);
    measured_s_ = static_cast<double>(SystemClock::now() - begin) / 1e9;
    for (Phone* phone : live_) phone->call->end_measuring();
    stopping_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    leaving_ = true;
    for (Phone* phone : live_) signalling_->hang_up(phone->id);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(5), [this] {
      return std::all_of(live_.begin(), live_.end(),
                         [this](const Phone* p) { return outcomes_[p->id].ended; });
    });
  }

  ServiceLoadReport report() {
    ServiceLoadReport out;
    out.joined = static_cast<int>(live_.size());
    out.failures.assign(failures_.begin(), failures_.end());
    std::vector<double> joins;
    std::vector<double> jitters;
    std::uint64_t expected = 0;
    for (const Phone* phone : live_) {
      const LightCall::Figures f = phone->call->figures();
      if (f.first_ns > 0) joins.push_back(static_cast<double>(f.first_ns - phone->begun_ns) / 1e6);
      jitters.push_back(f.jitter_ms);
      out.sent += f.sent;
      out.received += f.received;
      out.lost += f.lost;
      out.rejected += f.rejected;
      expected += static_cast<std::uint64_t>(measured_s_ * 50.0);  // the mix comes every 20 ms
    }
    out.join_p50_ms = at_share(joins, 0.5);
    out.join_p95_ms = at_share(joins, 0.95);
    out.join_max_ms = at_share(joins, 1.0);
    out.jitter_p95_ms = at_share(jitters, 0.95);
    out.late_p99_ms = at_share(late_ms_, 0.99);
    const double got = static_cast<double>(out.received) / static_cast<double>(expected);
    out.loss_percent = std::max(0.0, 100.0 * (1.0 - got));
    out.rosters = rosters_;
    out.ended = ended_;
    return out;
  }

  const ServiceLoadConfig& config_;
  const std::function<void(const std::string&)>& progress_;
  std::unique_ptr<LightSpeech> speech_;
  std::vector<Phone> phones_;
  std::string folder_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<CallId, Outcome> outcomes_;
  std::set<std::string> failures_;
  std::mutex live_mutex_;
  std::vector<Phone*> live_;
  std::vector<double> late_ms_;
  std::atomic<bool> stopping_{false}, measuring_{false}, leaving_{false};
  std::atomic<std::uint64_t> rosters_{0};
  std::atomic<int> ended_{0};
  double measured_s_ = 0;
  std::unique_ptr<media::Signalling> signalling_;
  std::vector<std::thread> threads_;
};

}  // namespace

Result<ServiceLoadReport> run_service_load(
    const ServiceLoadConfig& config, const std::function<void(const std::string&)>& progress) {
  if (config.phones < 1 || config.passcodes.empty() || config.joining_at_once < 1 ||
      (config.ptime_ms != 10 && config.ptime_ms != 20)) {
    return Error{"give at least one phone and one meeting, and packets of 10 or 20 ms"};
  }
  Load load(config, progress);
  return load.run();
}

}  // namespace conclave::apps
