// SPDX-License-Identifier: Apache-2.0
// Comparing results, and the recordings that the gate is made of.
#include <gmock/gmock.h>

#include "bench/echo/compare.h"
#include "bench/echo/generate.h"
#include "bench/echo/generate_signals.h"
#include "bench/echo/show.h"
#include "tests/bench/bench_fixture.h"

namespace conclave::bench::echo {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CompareTest : public BenchTest {
 protected:
  std::string results(const std::string& name, const json& metrics, const json& items = {}) const {
    const json object = {{"conclave_bench", 1},
                         {"items", items.is_null() ? json::array() : items},
                         {"summary", {{"far end 16k", {{"conclave", metrics}}}}}};
    EXPECT_TRUE(write_text(path(name), object.dump()));
    return path(name);
  }
  static json mean(double value, int never = 0) {
    return {{"mean", value}, {"n", 2}, {"never", never}, {"low", value}, {"high", value}};
  }
  std::vector<std::string> failures(const std::string& rules) const {
    const auto comparison = compare_results(old_, new_, *parse_rules(rules));
    if (!comparison) return {comparison.error().message};
    return comparison->failures;
  }
  std::string old_;
  std::string new_;
};

TEST_F(CompareTest, worse_fails_and_better_passes) {
  old_ = results("old.json", {{"erle_ss", mean(30)}, {"t20_s", mean(0.5)}});
  new_ = results("new.json", {{"erle_ss", mean(28.9)}, {"t20_s", mean(0.9)}});
  EXPECT_EQ(failures("erle_ss<-1.2,t20_s>0.5").size(), 0U);
  EXPECT_EQ(failures("erle_ss<-1").size(), 1U);
  EXPECT_THAT(failures("erle_ss<-1")[0], HasSubstr("erle_ss was 30.0, is 28.9 (erle_ss<-1)"));
  EXPECT_EQ(failures("erle_ss<-1,t20_s>0.3").size(), 2U);
  EXPECT_THAT(failures("speexdsp/erle_ss<-1")[0], HasSubstr("looks at nothing"));
  EXPECT_EQ(failures("conclave/erle_ss@far end 16k<-1").size(), 1U);
  std::swap(old_, new_);
  EXPECT_EQ(failures("erle_ss<-1,t20_s>0.3").size(), 0U);
  EXPECT_THAT(comparison_table(*compare_results(old_, new_, {})), HasSubstr("better"));
  EXPECT_EQ(comparison_table(*compare_results(old_, old_, {})), "");
}

TEST_F(CompareTest, what_never_comes_any_more_or_is_missing_fails) {
  old_ = results("old.json", {{"t20_s", mean(0.5)}, {"dt_sdr", mean(10)}});
  new_ = results("new.json", {{"t20_s", {{"n", 0}, {"never", 2}}}});
  EXPECT_THAT(failures("t20_s>0.3")[0], HasSubstr("is never"));
  EXPECT_THAT(failures("dt_sdr<-1")[0], HasSubstr("not there any more"));
  EXPECT_EQ(failures("").size(), 1U);
  new_ = results("new.json", {{"t20_s", mean(0.4, 1)}, {"dt_sdr", mean(10)}});
  EXPECT_EQ(failures("t20_s>0.3").size(), 1U);
  const json broken =
      json::array({{{"id", "a"}, {"systems", {{"conclave", {{"error", "ended with 1"}}}}}}});
  new_ = results("new.json", {{"t20_s", mean(0.4)}, {"dt_sdr", mean(10)}}, broken);
  EXPECT_THAT(failures("t20_s>0.3")[0], HasSubstr("a, conclave: ended with 1"));
}

TEST_F(CompareTest, bad_input_is_told) {
  old_ = results("old.json", {{"erle_ss", mean(30)}});
  new_ = old_;
  EXPECT_THAT(failures("erle_s<-1")[0], HasSubstr("looks at nothing"));
  for (const char* bad : {"erle_ss", "<-1", "erle_ss<", "erle_ss<x", "a/<1", "a@<1", ","})
    EXPECT_FALSE(parse_rules(bad)) << bad;
  EXPECT_EQ(parse_rules("a@b, c<1,d>2")->size(), 2U);
  EXPECT_EQ((*parse_rules("a@b, c<1"))[0].scenario, "b, c");
  EXPECT_FALSE(compare_results(path("none"), old_, {}));
  ASSERT_TRUE(write_text(path("x.json"), "{}"));
  EXPECT_THAT(compare_results(path("x.json"), old_, {}).error().message,
              HasSubstr("is no results.json"));
}

TEST_F(CompareTest, shows_means_as_a_table) {
  const auto both = results(
      "show.json", {{"erle_ss", mean(30.04)}, {"t20_s", mean(0.5, 1)}, {"aecmos", mean(4.256)}});
  json object = json::parse(text("show.json"));
  object["systems"] = {"conclave"};
  object["items"] = {{{"scenario", "far end 16k"}}};
  ASSERT_TRUE(write_text(both, object.dump()));
  const auto table = show_results(both, {});
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_THAT(*table, HasSubstr("scenario     system    erle_ss    t20_s   aecmos\n"));
  EXPECT_THAT(*table, HasSubstr("far end 16k  conclave     30.0   0.50!1     4.26\n"));
  EXPECT_THAT(show_results(both, {"dt_sdr"}).error().message, HasSubstr("no metric"));
}

class GenerateTest : public BenchTest {};

TEST_F(GenerateTest, the_same_seed_gives_the_same_bytes) {
  for (const char* name : {"a", "b"}) {
    GenerateOptions make;
    make.out = path(name);
    make.speech = "synthetic";
    make.small = true;
    const auto made = generate(make);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(*made, 11);
  }
  const auto manifest = load_manifest(path("a/manifest.json"));
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(text("a/manifest.json"), text("b/manifest.json"));
  for (const auto& item : manifest->items) {
    for (const char* file : {"mics", "echo"}) {
      const std::string name = "/" + item.id + "/" + file + ".flac";
      EXPECT_EQ(text("a" + name), text("b" + name)) << name;
    }
    const auto recording = load_recording(item);
    ASSERT_TRUE(recording) << recording.error().message;
    EXPECT_TRUE(recording->truth.has_truth);
    // The noise that is left is the situation's own.
    EXPECT_GT(metrics::energy(recording->truth.noise), 0) << item.id;
  }
}

TEST_F(GenerateTest, another_seed_gives_another_recording) {
  const auto voices = Voices::find("synthetic");
  ASSERT_TRUE(voices);
  const Situation situation{.name = "x", .scenario = "x", .seconds = 2, .far = {{0, 2}}};
  const auto first = render_situation(situation, 16000, *voices, 3);
  const auto again = render_situation(situation, 16000, *voices, 3);
  const auto other = render_situation(situation, 16000, *voices, 4);
  ASSERT_TRUE(first && again && other);
  EXPECT_EQ(first->mic, again->mic);
  EXPECT_NE(first->far, other->far);
  EXPECT_NE(first->echo, other->echo);
}

TEST_F(GenerateTest, the_echo_has_the_delay_and_the_drift_that_were_asked_for) {
  const auto voices = Voices::find("synthetic");
  ASSERT_TRUE(voices);
  Situation situation{.name = "x", .scenario = "x", .seconds = 20, .far = {{0, 20}}};
  situation.delay_ms = 150;
  situation.ppm = 100;
  const auto drifting = render_situation(situation, 16000, *voices, 3);
  situation.ppm = 0;
  const auto steady = render_situation(situation, 16000, *voices, 3);
  ASSERT_TRUE(drifting && steady);
  const auto part = [](const Samples& samples, int from) {
    const auto begin = samples.begin() + from * 16000;
    return metrics::Signal(begin, begin + 2 * 16000);
  };
  EXPECT_NEAR(metrics::find_lag(part(steady->far, 0), part(steady->echo, 0), 6400).samples, 2404,
              6);
  // A faster clock counts more samples until the same sound.
  const auto lag =
      metrics::find_lag(part(steady->echo, 18), part(drifting->echo, 18), 1000).samples;
  EXPECT_NEAR(lag, 19 * 16000 * 100e-6, 1.7);
}

TEST_F(GenerateTest, missing_voices_are_told) {
  EXPECT_THAT(Voices::find(path("nowhere")).error().message, HasSubstr("nowhere"));
}

}  // namespace
}  // namespace conclave::bench::echo
