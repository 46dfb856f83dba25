// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/generate.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bench/echo/generate_signals.h"
#include "bench/echo/manifest.h"
#include "bench/echo/sound.h"

namespace conclave::bench::echo {
namespace {

using nlohmann::json;

struct Task {
  Situation situation;
  int rate = 0;
};

const char* talk_of(const Situation& situation) {
  if (situation.far.empty()) return situation.near.empty() ? "nobody" : "near";
  return situation.near.empty() ? "far" : "double";
}

// The gate needs each kind of trouble once, not at both rates.
std::vector<Task> tasks_of(bool small) {
  std::vector<Task> tasks;
  for (const auto& situation : situations(small)) {
    const bool wide = situation.name.starts_with("far-end") || situation.name == "double-talk";
    for (const int rate : {16000, 48000}) {
      if (!small || rate == 16000 || wide) tasks.push_back({situation, rate});
    }
  }
  return tasks;
}

bool any(const Samples& samples) {
  return std::ranges::any_of(samples, [](float x) { return x != 0.0F; });
}

Result<json> render_item(const Task& task, const GenerateOptions& options, const Voices& voices) {
  const auto& [situation, rate] = task;
  const std::string rate_name = rate == 16000 ? "16k" : "48k";
  const std::string id = situation.name + "-" + rate_name;
  const auto seed = std::stoull(digest_of(id + "/" + std::to_string(options.seed)), nullptr, 16);
  CONCLAVE_TRY(const auto rendered, render_situation(situation, rate, voices, seed));
  std::error_code failed;
  std::filesystem::create_directories(options.out + "/" + id, failed);
  if (failed) return Error{options.out + "/" + id + ": cannot be made: " + failed.message()};
  json item = {{"id", id},
               {"scenario", situation.scenario + " " + rate_name},
               {"talk", talk_of(situation)},
               {"tags", {"generated"}}};
  if (situation.change_seconds > 0) item["change_s"] = situation.change_seconds;
  const std::vector<std::pair<const char*, const Samples*>> parts = {{"mics", &rendered.mic},
                                                                     {"far", &rendered.far},
                                                                     {"near", &rendered.near},
                                                                     {"echo", &rendered.echo}};
  for (const auto& [key, samples] : parts) {
    // An echo file tells that truth is known, silent or not.
    if (!any(*samples) && key != std::string("echo")) continue;
    const std::string path = id + "/" + key + ".flac";
    CONCLAVE_CHECK_STATUS(save_sound(options.out + "/" + path, *samples, rate));
    item[key] = path;
  }
  return item;
}

}  // namespace

std::vector<Situation> situations(bool small) {
  const std::vector<Span> far{{0.5, 20}};
  if (small) {
    return {
        {.name = "far-end", .scenario = "far end", .seconds = 10, .far = {{0.5, 10}}},
        {.name = "double-talk",
         .scenario = "double talk",
         .seconds = 16,
         .far = {{0.5, 13}},
         .near = {{6, 16}}},
        {.name = "clipping",
         .scenario = "hard clipping",
         .seconds = 10,
         .far = {{0.5, 10}},
         .drive = 2,
         .clip = 0.6},
        {.name = "music",
         .scenario = "hold music",
         .seconds = 10,
         .far = {{0.5, 10}},
         .music = true},
        {.name = "path-change",
         .scenario = "path change",
         .seconds = 16,
         .far = {{0.5, 16}},
         .change_seconds = 9},
        {.name = "delay-300",
         .scenario = "delay 300 ms",
         .seconds = 10,
         .far = {{0.5, 10}},
         .delay_ms = 300},
        {.name = "drift-100",
         .scenario = "drift 100 ppm",
         .seconds = 16,
         .far = {{0.5, 16}},
         .ppm = 100},
        {.name = "near-end",
         .scenario = "near end",
         .seconds = 8,
         .near = {{0.5, 8}},
         .noise_db = -45},
        {.name = "noise", .scenario = "noise only", .seconds = 6, .noise_db = -20},
    };
  }
  const std::vector<Span> near{{8, 24}};
  return {
      {.name = "far-end", .scenario = "far end", .far = far},
      {.name = "far-end-live", .scenario = "far end, live room", .far = far, .rt60 = 0.8},
      {.name = "clipping", .scenario = "hard clipping", .far = far, .drive = 2, .clip = 0.6},
      {.name = "music", .scenario = "hold music", .far = far, .music = true},
      {.name = "double-talk", .scenario = "double talk", .seconds = 24, .far = far, .near = near},
      {.name = "double-talk-early",
       .scenario = "double talk, early",
       .far = {{0.5, 16}},
       .near = {{1.5, 20}}},
      {.name = "double-talk-low",
       .scenario = "double talk, near -12 dB",
       .seconds = 24,
       .far = far,
       .near = near,
       .near_db = -12},
      {.name = "double-talk-noise",
       .scenario = "double talk in babble",
       .seconds = 24,
       .far = far,
       .near = near,
       .noise_db = -5,
       .babble = true},
      {.name = "double-talk-clipping",
       .scenario = "double talk, hard clipping",
       .seconds = 24,
       .far = far,
       .near = near,
       .near_db = -6,
       .drive = 2,
       .clip = 0.6},
      {.name = "path-change",
       .scenario = "path change",
       .seconds = 26,
       .far = {{0.5, 26}},
       .change_seconds = 12},
      {.name = "path-change-double-talk",
       .scenario = "path change in double talk",
       .seconds = 30,
       .far = {{0.5, 30}},
       .near = {{12, 30}},
       .change_seconds = 16},
      {.name = "delay-0", .scenario = "delay 0 ms", .far = far, .delay_ms = 0},
      {.name = "delay-150", .scenario = "delay 150 ms", .far = far, .delay_ms = 150},
      {.name = "delay-300", .scenario = "delay 300 ms", .far = far, .delay_ms = 300},
      {.name = "delay-jump",
       .scenario = "delay jump +80 ms",
       .seconds = 26,
       .far = {{0.5, 26}},
       .delay_ms = 60,
       .jump_ms = 80,
       .change_seconds = 12},
      {.name = "drift-20",
       .scenario = "drift 20 ppm",
       .seconds = 40,
       .far = {{0.5, 40}},
       .ppm = 20},
      {.name = "drift-50",
       .scenario = "drift -50 ppm",
       .seconds = 40,
       .far = {{0.5, 40}},
       .ppm = -50},
      {.name = "drift-100",
       .scenario = "drift 100 ppm",
       .seconds = 40,
       .far = {{0.5, 40}},
       .ppm = 100},
      {.name = "drift-100-double-talk",
       .scenario = "drift 100 ppm, double talk",
       .seconds = 40,
       .far = {{0.5, 40}},
       .near = {{14, 40}},
       .ppm = 100},
      {.name = "near-end", .scenario = "near end", .near = {{0.5, 20}}, .noise_db = -45},
      {.name = "near-end-noise",
       .scenario = "near end in babble",
       .near = {{0.5, 20}},
       .noise_db = -5,
       .babble = true},
      {.name = "noise", .scenario = "noise only", .seconds = 12, .noise_db = -20},
  };
}

Result<int> generate(const GenerateOptions& options) {
  CONCLAVE_TRY(const auto voices, Voices::find(options.speech));
  std::error_code failed;
  std::filesystem::create_directories(options.out, failed);
  if (failed) return Error{options.out + ": cannot be made: " + failed.message()};
  const auto tasks = tasks_of(options.small);
  json items = json::array();
  for (const auto& task : tasks) {
    if (options.stop != nullptr && *options.stop)
      return Error{"stopped; " + options.out + " has no manifest yet: generate again"};
    CONCLAVE_TRY(auto item, render_item(task, options, voices));
    items.push_back(std::move(item));
    if (options.progress) options.progress(std::ssize(items), std::ssize(tasks));
  }
  const json manifest = {
      {"conclave_bench", 1},
      {"name", std::string(options.small ? "small-" : "generated-") + std::to_string(options.seed)},
      {"items", items}};
  CONCLAVE_CHECK_STATUS(write_text(options.out + "/manifest.json", manifest.dump(1) + "\n"));
  return static_cast<int>(items.size());
}

}  // namespace conclave::bench::echo
