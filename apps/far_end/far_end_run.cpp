// SPDX-License-Identifier: Apache-2.0
#include "apps/far_end/far_end_run.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/far_end/recorder.h"
#include "base/clock.h"

namespace conclave::apps {
namespace {

constexpr std::int64_t kTickNs = 10'000'000;
constexpr int kFrame = 480;

struct Descriptor {
  int fd;
  explicit Descriptor(int f) : fd(f) {}
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

/// A sound card of air: what a tick is due moves 10 ms in and 10 ms out.
struct SoundCard {
  Participant& participant;
  Talker& talker;
  Recorder* played;
  Recorder* spoken;
  std::uint64_t frames = 0;
  std::uint64_t missing = 0;   ///< nothing was there to play
  std::uint64_t overruns = 0;  ///< the uplink ring was full

  void tick(std::int64_t due_ns) {
    AudioFrame frame;
    frame.samples = kFrame;
    frame.index = frames++;
    // What is handed over now was spoken in the 10 ms before.
    frame.time_ns = due_ns;
    talker.next(std::span(frame.data).first(kFrame));
    if (!participant.uplink().try_push(frame)) ++overruns;
    if (spoken != nullptr) spoken->push(frame, due_ns - kTickNs);

    AudioFrame heard;
    if (!participant.downlink().try_pop(heard)) {
      heard = AudioFrame{};
      ++missing;
    }
    heard.samples = kFrame;
    if (played != nullptr) played->push(heard, due_ns);
  }
};

nlohmann::json report(const media::CallStats& stats, const SoundCard& card, double seconds) {
  return {{"seconds", seconds},
          {"tx_packets", stats.tx_packets},
          {"rx_packets", stats.rx_packets},
          {"lost", stats.rx_lost},
          {"late", stats.rx_late},
          {"concealed_ms", stats.concealed_ms},
          {"jitter_ms", stats.jitter_ms},
          {"rtt_ms", stats.rtt_ms},
          {"buffer_ms", stats.buffer_ms},
          {"delay_ms", stats.delay_ms},
          {"remote_loss_percent", stats.remote_loss_percent},
          {"mos", stats.mos},
          {"srtp_failures", stats.srtp_failures},
          {"secured", stats.secured},
          {"frames_missing", card.missing},
          {"uplink_overruns", card.overruns}};
}

}  // namespace

Status run_far_end(const FarEndOptions& options) {
  // Blocked before the first thread, so that all threads inherit it.
  sigset_t endings;
  sigemptyset(&endings);
  sigaddset(&endings, SIGTERM);
  sigaddset(&endings, SIGINT);
  pthread_sigmask(SIG_BLOCK, &endings, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const Descriptor signals(signalfd(-1, &endings, SFD_CLOEXEC));
  const Descriptor timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));

  CONCLAVE_TRY(Talker talker, Talker::create(options.talker));
  std::unique_ptr<Recorder> played;
  std::unique_ptr<Recorder> spoken;
  if (!options.record.empty()) {
    CONCLAVE_TRY(played, Recorder::create(options.record, "played"));
    CONCLAVE_TRY(spoken, Recorder::create(options.record, "spoken"));
  }
  auto joined_or_not = Participant::join(options.participant);
  if (!joined_or_not) {
    const Error& error = joined_or_not.error();
    const bool ours = error.id.rfind("JOIN", 0) == 0 || error.id.rfind("IN-", 0) == 0;
    return Error{"cannot join: " + error.message +
                     (ours ? " Check --passcode and --email" : "; is the service running?"),
                 error.id};
  }
  const std::unique_ptr<Participant> participant = std::move(*joined_or_not);
  const nlohmann::json joined = {{"joined", true},
                                 {"conference", participant->place().conference.title},
                                 {"participant", participant->place().participant.id}};
  std::printf("%s\n", joined.dump().c_str());
  std::fflush(stdout);

  SoundCard card{*participant, talker, played.get(), spoken.get()};
  const std::int64_t start = SystemClock::now() + kTickNs;
  itimerspec every{};
  every.it_value.tv_sec = start / 1'000'000'000;
  every.it_value.tv_nsec = start % 1'000'000'000;
  every.it_interval.tv_nsec = kTickNs;
  timerfd_settime(timer.fd, TFD_TIMER_ABSTIME, &every, nullptr);

  const auto limit = static_cast<std::uint64_t>(options.seconds * 100);
  std::array<pollfd, 2> fds{pollfd{timer.fd, POLLIN, 0}, pollfd{signals.fd, POLLIN, 0}};
  std::string reason;
  bool gone = false;
  while (limit == 0 || card.frames < limit) {
    if (poll(fds.data(), fds.size(), -1) < 0) continue;
    if ((fds[1].revents & POLLIN) != 0) break;
    std::uint64_t due = 0;
    if (read(timer.fd, &due, sizeof due) != sizeof due) continue;
    // After a hold-up all missed ticks are made up for: time in the recordings stays true.
    for (; due > 0; --due) card.tick(start + static_cast<std::int64_t>(card.frames) * kTickNs);
    if (card.frames % 10 == 0 && participant->ended(&reason)) {
      gone = true;
      break;
    }
  }
  const auto stats = participant->stats();
  participant->leave();
  const auto text = report(stats, card, static_cast<double>(card.frames) / 100).dump();
  if (!options.record.empty()) std::ofstream(options.record + "/stats.json") << text << "\n";
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
  if (gone) return Error{"The service ended the call: " + reason + "; join again"};
  return {};
}

}  // namespace conclave::apps
