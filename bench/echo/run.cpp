// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/run.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include "bench/echo/results.h"
#include "bench/echo/scorer.h"
#include "bench/echo/sound.h"

namespace conclave::bench::echo {
namespace {

using Systems = std::vector<std::unique_ptr<System>>;

std::int64_t milliseconds(int frames, int rate) {
  return static_cast<std::int64_t>(frames) * 1000 / rate;
}

Result<Systems> make_systems(const RunOptions& options) {
  Systems systems;
  std::set<std::string> names;
  if (options.systems.empty()) return Error{"--systems names no system"};
  for (const auto& what : options.systems) {
    CONCLAVE_TRY(auto system, make_system(what, {.command_seconds = options.command_seconds}));
    if (!names.insert(system->name()).second)
      return Error{"--systems names " + system->name() + " twice"};
    if (system->name() == "item") return Error{"a system cannot be named \"item\""};
    systems.push_back(std::move(system));
  }
  return systems;
}

SystemRecord failed(std::string key, std::string why) {
  SystemRecord record;
  record.key = std::move(key);
  record.error = std::move(why);
  return record;
}

bool finite(const std::vector<float>& samples) {
  return std::ranges::all_of(samples, [](float x) { return std::isfinite(x); });
}

/// One run: the work list, and the threads that take from it.
class Run {
 public:
  Run(const RunOptions& options, Systems systems, std::vector<const Item*> items,
      std::vector<std::int64_t> lengths, const Store& store, const RunPlan& plan)
      : options_(options),
        systems_(std::move(systems)),
        items_(std::move(items)),
        lengths_(std::move(lengths)),
        store_(store),
        plan_(plan),
        stop_(options.stop != nullptr ? *options.stop : never_) {
    for (const auto length : lengths_)
      total_ += length * static_cast<std::int64_t>(systems_.size());
  }

  Status work() {
    const int jobs = std::clamp(options_.jobs, 1, std::max(1, static_cast<int>(items_.size())));
    std::vector<std::thread> threads;
    for (int j = 1; j < jobs; ++j) threads.emplace_back([this] { take_items(); });
    take_items();
    for (auto& thread : threads) thread.join();
    return first_error_;
  }

  void fill(RunOutcome& outcome) const {
    outcome.finished = finished_;
    outcome.kept = kept_;
    outcome.failures = failures_;
    outcome.first_failure = first_failure_;
    outcome.stopped = stop_;
  }

 private:
  void take_items() {
    while (!stop_) {
      const std::size_t index = next_++;
      if (index >= items_.size()) return;
      const Status done = do_item(*items_[index], lengths_[index]);
      const std::lock_guard lock(mutex_);
      if (!done && first_error_.ok()) first_error_ = done;
      if (!done) return;
    }
  }

  std::string key_of(const Item& item, std::size_t system) const {
    return digest_of(plan_.manifest_digest + "/" + item.id + "/" + plan_.commands[system]);
  }

  Status do_item(const Item& item, std::int64_t length) {
    std::vector<std::size_t> left;
    for (std::size_t s = 0; s < systems_.size(); ++s) {
      const auto old = store_.load_system(item.id, systems_[s]->name());
      if (options_.resume && old && old->key == key_of(item, s) && old->error.empty() &&
          store_.has(item.id)) {
        advance(length);
      } else {
        left.push_back(s);
      }
    }
    if (left.empty()) {
      const std::lock_guard lock(mutex_);
      ++finished_;
      ++kept_;
      return {};
    }
    CONCLAVE_TRY(auto recording, load_recording(item));
    CONCLAVE_CHECK_STATUS(save_item(item, recording));
    SystemInput input;
    input.rate = recording.rate;
    input.mics = std::move(recording.mics);
    input.far = std::move(recording.far);
    input.profile = item.profile;
    const metrics::EchoJudge judge(std::move(recording.truth));
    for (const auto s : left) {
      const auto& name = systems_[s]->name();
      const auto output = systems_[s]->run(input, stop_);
      if (stop_) return {};
      SystemRecord record;
      if (!output) {
        record = failed(key_of(item, s), output.error().message);
      } else if (!finite(output->sent)) {
        record = failed(key_of(item, s), name + ": its output holds values that are not numbers");
      } else {
        CONCLAVE_CHECK_STATUS(save_sound(store_.sound(item.id, name), output->sent, input.rate));
        record = judged(judge, *output, key_of(item, s));
      }
      if (!record.error.empty()) tell_failure(item.id, name, record.error);
      CONCLAVE_CHECK_STATUS(store_.save(item.id, name, record));
      advance(length);
    }
    const std::lock_guard lock(mutex_);
    ++finished_;
    return {};
  }

  static SystemRecord judged(const metrics::EchoJudge& judge, const SystemOutput& output,
                             std::string key) {
    auto verdict = judge.judge(metrics::Signal(output.sent.begin(), output.sent.end()));
    SystemRecord record;
    record.key = std::move(key);
    record.scores = ScoreMap(verdict.scores.begin(), verdict.scores.end());
    record.lag = verdict.lag;
    record.latency_ms = output.latency_ms;
    record.cpu = output.cpu;
    record.erle_time = std::move(verdict.erle_time);
    record.erle_db = std::move(verdict.erle_db);
    return record;
  }

  Status save_item(const Item& item, const Recording& recording) const {
    CONCLAVE_CHECK_STATUS(store_.make_item_folder(item.id));
    const int rate = recording.rate;
    CONCLAVE_CHECK_STATUS(
        save_sound(store_.sound(item.id, "mic"), recording.mics.view().rows(0, 1), rate));
    CONCLAVE_CHECK_STATUS(save_sound(store_.sound(item.id, "far"), recording.far, rate));
    ItemRecord record;
    const auto& near = recording.truth.near;
    record.has_near = metrics::energy(near) > 0;
    if (record.has_near) {
      const std::vector<float> samples(near.begin(), near.end());
      CONCLAVE_CHECK_STATUS(save_sound(store_.sound(item.id, "near"), samples, rate));
    }
    record.id = item.id;
    record.scenario = item.scenario;
    record.talk = talk_name(item.talk);
    record.tags = item.tags;
    record.rate = rate;
    record.seconds = static_cast<double>(recording.mics.frames()) / rate;
    return store_.save(record);
  }

  void advance(std::int64_t length) {
    const std::lock_guard lock(mutex_);
    done_ += length;
    if (options_.progress) options_.progress(done_, total_);
  }

  void tell_failure(const std::string& id, const std::string& system, const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (failures_++ == 0) first_failure_ = id + "/" + system + ": " + why;
  }

  const RunOptions& options_;
  Systems systems_;
  std::vector<const Item*> items_;
  std::vector<std::int64_t> lengths_;
  const Store& store_;
  const RunPlan& plan_;
  const std::atomic<bool> never_{false};
  const std::atomic<bool>& stop_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;  // guards all below
  std::int64_t done_ = 0;
  std::int64_t total_ = 0;
  int finished_ = 0;
  int kept_ = 0;
  int failures_ = 0;
  std::string first_failure_;
  Status first_error_;
};

}  // namespace

Result<RunOutcome> run_bench(const RunOptions& options) {
  CONCLAVE_TRY(const auto manifest, load_manifest(options.manifest));
  CONCLAVE_TRY(auto systems, make_systems(options));
  std::vector<const Item*> items;
  for (std::size_t i = 0; i < manifest.items.size(); ++i) {
    const auto place = static_cast<int>(i % static_cast<std::size_t>(options.shard.count));
    if (place == options.shard.index - 1) items.push_back(&manifest.items[i]);
  }
  std::vector<std::int64_t> lengths;
  for (const auto* item : items) {
    CONCLAVE_TRY(const auto recording, load_recording(*item));
    lengths.push_back(milliseconds(recording.mics.frames(), recording.rate));
    if (options.stop != nullptr && *options.stop) break;
  }
  lengths.resize(items.size(), 0);

  RunOutcome outcome;
  outcome.items = static_cast<int>(items.size());
  RunPlan& plan = outcome.plan;
  plan.manifest_name = manifest.name;
  plan.manifest_digest = manifest.digest;
  for (const auto& item : manifest.items) plan.ids.push_back(item.id);
  for (const auto& system : systems) plan.systems.push_back(system->name());
  plan.commands = options.systems;

  std::error_code failed;
  std::filesystem::create_directories(options.out, failed);
  if (failed) return Error{options.out + ": cannot be made: " + failed.message()};
  const Store store(options.out);
  if (!options.resume) std::filesystem::remove_all(options.out + "/items", failed);
  CONCLAVE_CHECK_STATUS(store.save(plan));
  Run run(options, std::move(systems), items, std::move(lengths), store, plan);
  CONCLAVE_CHECK_STATUS(run.work());
  run.fill(outcome);
  if (!options.scorer.empty() && !outcome.stopped) {
    static const std::atomic<bool> kNever{false};
    const Status scored =
        run_scorer(store, plan, options.scorer, options.stop != nullptr ? *options.stop : kNever);
    outcome.stopped = options.stop != nullptr && *options.stop;
    if (!outcome.stopped && !scored) return scored.error();
  }
  CONCLAVE_TRY(const auto results, collect(store, plan));
  CONCLAVE_CHECK_STATUS(write_results(results, options.out));
  return outcome;
}

}  // namespace conclave::bench::echo
