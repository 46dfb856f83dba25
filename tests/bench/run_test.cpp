// SPDX-License-Identifier: Apache-2.0
// Whole runs: the same bytes whatever the jobs and shards, failures told, what is stopped resumed.
#include <gmock/gmock.h>

#include "bench/echo/child.h"
#include "bench/echo/merge.h"
#include "bench/echo/results.h"
#include "bench/echo/system.h"
#include "tests/bench/bench_fixture.h"

namespace conclave::bench::echo {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class RunTest : public BenchTest {
 protected:
  std::string five_items() const {
    json items = json::array();
    for (int i = 0; i < 5; ++i)
      items.push_back(add_item("item-" + std::to_string(i), static_cast<std::uint64_t>(i), 3,
                               i == 4 ? 48000 : 16000));
    return write_manifest(items);
  }
  static std::string name_of(const char* what, int n) { return what + std::to_string(n); }
};

TEST_F(RunTest, all_systems_give_finite_sound_and_are_judged) {
  const auto manifest = write_manifest(json::array({add_item("a", 1), add_item("b", 2, 3, 48000)}));
  std::vector<std::string> systems;
  for (const auto& known : known_systems()) systems.emplace_back(known.name);
  const auto outcome = run_bench(options(manifest, "out", systems));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->failures, 0) << outcome->first_failure;
  const json results = json::parse(text("out/results.json"));
  const json timing = json::parse(text("out/timing.json"));
  ASSERT_EQ(results["items"].size(), 2U);
  for (const auto& system : systems) {
    const json& scores = results["items"][0]["systems"][system]["scores"];
    EXPECT_TRUE(scores.contains("erle_all")) << system;
    const json& cpu = timing["items"]["b"][system];
    EXPECT_GE(cpu["max"].get<double>(), cpu["p50"].get<double>()) << system;
  }
  const auto erle = [&](const char* system) {
    return results["items"][0]["systems"][system]["scores"]["erle_all"].get<double>();
  };
  EXPECT_NEAR(erle("none"), 0, 0.01);
  EXPECT_GT(erle("conclave"), 10);
  EXPECT_GT(erle("speexdsp"), 3);
  EXPECT_GT(erle("webrtc"), 10);
  EXPECT_THAT(text("out/results.csv"), HasSubstr("id,scenario,talk,rate,seconds,system"));
}

TEST_F(RunTest, jobs_and_shards_give_the_same_bytes) {
  const auto manifest = five_items();
  auto whole = options(manifest, "whole", {"conclave", "webrtc", "none"});
  ASSERT_TRUE(run_bench(whole));
  auto again = options(manifest, "again", {"conclave", "webrtc", "none"});
  again.jobs = 3;
  ASSERT_TRUE(run_bench(again));
  EXPECT_EQ(text("whole/results.json"), text("again/results.json"));
  EXPECT_EQ(text("whole/results.csv"), text("again/results.csv"));
  std::vector<std::string> folders;
  for (int i = 1; i <= 2; ++i) {
    auto shard = options(manifest, name_of("shard", i), {"conclave", "webrtc", "none"});
    shard.shard = {i, 2};
    const auto outcome = run_bench(shard);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->items, i == 1 ? 3 : 2);
    folders.push_back(shard.out);
  }
  ASSERT_TRUE(merge_results(folders, path("merged")));
  EXPECT_EQ(text("whole/results.json"), text("merged/results.json"));
  EXPECT_EQ(text("whole/results.csv"), text("merged/results.csv"));
  EXPECT_FALSE(text("whole/results.json").empty());
}

TEST_F(RunTest, merge_tells_what_does_not_fit) {
  const auto manifest = five_items();
  auto first = options(manifest, "first", {"none"});
  first.shard = {1, 2};
  ASSERT_TRUE(run_bench(first));
  EXPECT_THAT(merge_results({first.out}, path("m")).error().message, HasSubstr("2 of 5 items"));
  const auto other = write_manifest(json::array({add_item("x", 9)}), "other.json");
  ASSERT_TRUE(run_bench(options(other, "other", {"none"})));
  EXPECT_THAT(merge_results({first.out, path("other")}, path("m")).error().message,
              HasSubstr("another manifest"));
  ASSERT_TRUE(run_bench(options(manifest, "speex", {"speexdsp"})));
  EXPECT_THAT(merge_results({first.out, path("speex")}, path("m")).error().message,
              HasSubstr("other systems"));
  EXPECT_THAT(merge_results({path("nowhere")}, path("m")).error().message,
              HasSubstr("no result folder"));
}

TEST_F(RunTest, what_is_stopped_is_resumed) {
  const auto manifest = five_items();
  ASSERT_TRUE(run_bench(options(manifest, "whole")));
  std::atomic<bool> stop{false};
  auto stopped = options(manifest, "stopped");
  stopped.stop = &stop;
  int steps = 0;
  stopped.progress = [&](std::int64_t, std::int64_t) { stop = ++steps == 4; };
  const auto half = run_bench(stopped);
  ASSERT_TRUE(half);
  EXPECT_TRUE(half->stopped);
  EXPECT_EQ(half->finished, 2);
  EXPECT_EQ(json::parse(text("stopped/results.json"))["items"].size(), 2U);
  stop = false;
  stopped.progress = nullptr;
  stopped.resume = true;
  const auto rest = run_bench(stopped);
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->kept, 2);
  EXPECT_EQ(rest->finished, 5);
  EXPECT_EQ(text("whole/results.json"), text("stopped/results.json"));
}

TEST_F(RunTest, results_of_another_system_or_manifest_are_not_kept) {
  const auto manifest = five_items();
  ASSERT_TRUE(run_bench(options(manifest, "out", {"x=cp {mic} {out}"})));
  auto other = options(manifest, "out", {"x=cp {far} {out} {mic}"});
  other.resume = true;
  const auto outcome = run_bench(other);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->kept, 0);
  EXPECT_GT(outcome->failures, 0);  // cp with three files
}

TEST_F(RunTest, a_command_gets_and_gives_files) {
  const auto manifest = write_manifest(json::array({add_item("a", 1)}));
  const auto outcome =
      run_bench(options(manifest, "out", {"none", "copy=cp {mic} {out}", "lo=cp {mic16} {out}"}));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->failures, 0) << outcome->first_failure;
  const json systems = json::parse(text("out/results.json"))["items"][0]["systems"];
  EXPECT_EQ(systems["none"]["scores"], systems["copy"]["scores"]);
  EXPECT_NEAR(systems["lo"]["scores"]["erle_all"].get<double>(), 0, 0.01);
}

TEST_F(RunTest, a_command_that_fails_is_told_and_stops_nobody) {
  const auto manifest = write_manifest(json::array({add_item("a", 1)}));
  auto run = options(manifest, "out",
                     {"none", "gone=/nowhere/x {mic} {out}", "silent=true {mic} {out}",
                      "angry=sh -c 'echo first >&2; echo because >&2; exit 3' {mic} {out}",
                      "slow=sleep 30 {mic} {out}", "slow2=sh -c 'sleep 30' {mic} {out}"});
  run.command_seconds = 1;
  const auto outcome = run_bench(run);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->failures, 5);
  const json systems = json::parse(text("out/results.json"))["items"][0]["systems"];
  EXPECT_TRUE(systems["none"].contains("scores"));
  EXPECT_THAT(systems["gone"]["error"], HasSubstr("No such file"));
  EXPECT_THAT(systems["silent"]["error"], HasSubstr("out.wav"));
  EXPECT_THAT(systems["angry"]["error"], HasSubstr("ended with 3: because"));
  EXPECT_THAT(systems["slow2"]["error"], HasSubstr("longer than 1 s"));
}

TEST_F(RunTest, wrong_systems_are_refused_before_work) {
  const auto manifest = write_manifest(json::array({add_item("a", 1)}));
  const auto refusal = [&](std::vector<std::string> systems) {
    const auto outcome = run_bench(options(manifest, "out", std::move(systems)));
    return outcome ? std::string() : outcome.error().message;
  };
  EXPECT_THAT(refusal({"aec9"}), HasSubstr("\"aec9\" is no system"));
  EXPECT_THAT(refusal({"none", "none"}), HasSubstr("twice"));
  EXPECT_THAT(refusal({"a/b=x {mic} {out}"}), HasSubstr("no name"));
  EXPECT_THAT(refusal({"none=x {mic} {out}"}), HasSubstr("no name"));
  EXPECT_THAT(refusal({"x=run {mic}"}), HasSubstr("needs {mic}"));
  EXPECT_THAT(refusal({"x=run 'a {mic} {out}"}), HasSubstr("not closed"));
  EXPECT_THAT(refusal({}), HasSubstr("no system"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

TEST_F(RunTest, a_scorer_adds_its_numbers) {
  const auto manifest = write_manifest(json::array({add_item("a", 1), add_item("b", 2)}));
  ASSERT_TRUE(write_text(path("scorer.py"), R"(
import json, sys, os
jobs = json.load(sys.stdin)["jobs"]
assert json.load(open(sys.argv[1]))["jobs"] == jobs
for j in jobs:
    assert all(os.path.getsize(j[k]) > 1000 for k in ("mic", "far", "near", "out")), j
print(json.dumps({j["id"]: {"mos": len(j["id"]), "no": None} for j in jobs}))
)"));
  auto run = options(manifest, "out");
  run.scorer = "python3 " + path("scorer.py") + " {jobs}";
  const auto outcome = run_bench(run);
  ASSERT_TRUE(outcome) << outcome.error().message;
  const json results = json::parse(text("out/results.json"));
  EXPECT_EQ(results["items"][0]["systems"]["speexdsp"]["scores"]["mos"], 10);
  EXPECT_EQ(results["summary"]["noise"]["none"]["mos"]["mean"], 6);
  EXPECT_FALSE(results["items"][0]["systems"]["none"]["scores"].contains("no"));
  for (const char* bad : {"echo 3", "echo {}", "false"}) {
    auto wrong = options(manifest, "wrong");
    wrong.scorer = bad;
    EXPECT_FALSE(run_bench(wrong)) << bad;
  }
}

TEST(Command, words_are_split_as_written) {
  EXPECT_EQ(*split_command("a  'b c' \"d e\"f g\\ h"),
            (std::vector<std::string>{"a", "b c", "d ef", "g h"}));
  EXPECT_EQ(*split_command("a '' $HOME *"), (std::vector<std::string>{"a", "", "$HOME", "*"}));
  for (const char* bad : {"", "  ", "'a", "\"a", "a\\"}) EXPECT_FALSE(split_command(bad)) << bad;
  std::vector<std::string> words{"{mic}x{mic}", "{out}"};
  fill_in(words, "mic", "{mic}");
  EXPECT_EQ(words[0], "{mic}x{mic}");
}

TEST(Summary, means_intervals_and_what_never_came) {
  const auto one = summarise({3.0});
  EXPECT_EQ(one.mean, 3);
  EXPECT_EQ(one.low, one.high);
  std::vector<std::optional<double>> values(100);
  room::Random random(1);
  for (auto& value : values) value = random.gaussian();
  const auto many = summarise(values);
  EXPECT_NEAR(many.high - many.low, 2 * 1.96 / 10, 0.08);
  EXPECT_LT(many.low, many.mean);
  EXPECT_EQ(summarise(values).low, many.low);
  values.emplace_back(std::nullopt);
  EXPECT_EQ(summarise(values).mean, many.mean);
  EXPECT_EQ(summarise(values).never, 1);
  EXPECT_EQ(summarise({std::nullopt}).count, 0);
}

}  // namespace
}  // namespace conclave::bench::echo
