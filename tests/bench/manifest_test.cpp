// SPDX-License-Identifier: Apache-2.0
// Manifests and recordings: what is taken, and one clear line for what is not.
#include <gmock/gmock.h>

#include <limits>

#include "tests/bench/bench_fixture.h"

namespace conclave::bench::echo {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ManifestTest : public BenchTest {
 protected:
  std::string refusal(const json& items) const {
    const auto manifest = load_manifest(write_manifest(items));
    if (manifest) return "";
    EXPECT_EQ(manifest.error().message.find('\n'), std::string::npos);
    return manifest.error().message;
  }
  std::string load_refusal(const json& item) const {
    const auto manifest = load_manifest(write_manifest(json::array({item})));
    if (!manifest) return "manifest: " + manifest.error().message;
    const auto recording = load_recording(manifest->items[0]);
    return recording ? "" : recording.error().message;
  }
};

TEST_F(ManifestTest, takes_an_item_with_all_keys) {
  json item = add_item("a", 1);
  item["talk"] = "double";
  item["tags"] = {"x", "y"};
  item["change_s"] = 1.5;
  item["near_gain"] = 0.5;
  const auto manifest = load_manifest(write_manifest(json::array({item})));
  ASSERT_TRUE(manifest) << manifest.error().message;
  ASSERT_EQ(manifest->items.size(), 1U);
  const auto& read = manifest->items[0];
  EXPECT_EQ(read.id, "a");
  EXPECT_EQ(read.mics, path("a/mic.wav"));
  EXPECT_EQ(read.talk, metrics::Talk::kDouble);
  EXPECT_EQ(read.tags, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(read.change_seconds, 1.5);
  const auto recording = load_recording(read);
  ASSERT_TRUE(recording);
  EXPECT_EQ(recording->rate, 16000);
  EXPECT_TRUE(recording->truth.has_truth);
  // What near leaves of the microphone is echo.
  const auto& truth = recording->truth;
  for (std::size_t i = 0; i < truth.mic.size(); i += 997)
    EXPECT_NEAR(truth.near[i] + truth.echo[i] + truth.noise[i], truth.mic[i], 1e-9);
}

TEST_F(ManifestTest, guesses_who_talks) {
  json both = add_item("both", 1);
  json far = add_item("far", 2);
  far.erase("near");
  json near = add_item("near", 3);
  near.erase("far");
  const auto manifest = load_manifest(write_manifest(json::array({both, far, near})));
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->items[0].talk, metrics::Talk::kDouble);
  EXPECT_EQ(manifest->items[1].talk, metrics::Talk::kFar);
  EXPECT_EQ(manifest->items[2].talk, metrics::Talk::kNear);
  EXPECT_FALSE(load_recording(manifest->items[1])->truth.has_truth);
}

TEST_F(ManifestTest, refuses_what_is_no_manifest) {
  EXPECT_THAT(load_manifest(path("none.json")).error().message, HasSubstr("none.json"));
  EXPECT_THAT(load_manifest(folder_).error().message, HasSubstr("cannot be read"));
  EXPECT_THAT(parse_manifest("[1]", "m").error().message, HasSubstr("not a JSON object"));
  EXPECT_THAT(parse_manifest("{", "m").error().message, HasSubstr("not a JSON object"));
  EXPECT_THAT(parse_manifest("{}", "m").error().message, HasSubstr("conclave_bench"));
  EXPECT_THAT(parse_manifest(R"({"conclave_bench":2,"items":[]})", "m").error().message,
              HasSubstr("conclave_bench"));
  EXPECT_THAT(parse_manifest(R"({"conclave_bench":1,"items":[],"x":1})", "m").error().message,
              HasSubstr("unknown key \"x\""));
  EXPECT_THAT(refusal(json::array()), HasSubstr("holds no items"));
  EXPECT_THAT(refusal(json::array({3})), HasSubstr("item 1"));
}

TEST_F(ManifestTest, refuses_bad_items_by_name) {
  const json good = add_item("a", 1);
  const auto with = [&](const char* key, const json& value) {
    json item = good;
    item[key] = value;
    return json::array({item});
  };
  EXPECT_THAT(refusal(json::array({good, good})), HasSubstr("item a: its id is there twice"));
  EXPECT_THAT(refusal(with("id", "../a")), HasSubstr("needs an \"id\""));
  EXPECT_THAT(refusal(with("id", "")), HasSubstr("\"id\""));
  EXPECT_THAT(refusal(with("mic", "x.wav")), HasSubstr("unknown key \"mic\""));
  EXPECT_THAT(refusal(with("mics", "b.wav")), HasSubstr("b.wav is not there"));
  EXPECT_THAT(refusal(with("mics", "../../etc/passwd")), HasSubstr("leaves its root"));
  EXPECT_THAT(refusal(with("far", "/etc/passwd")), HasSubstr("leaves its root"));
  EXPECT_THAT(refusal(with("far", 3)), HasSubstr("\"far\" must be a text"));
  EXPECT_THAT(refusal(with("talk", "loud")), HasSubstr("\"talk\" must be"));
  EXPECT_THAT(refusal(with("tags", "x")), HasSubstr("\"tags\""));
  EXPECT_THAT(refusal(with("change_s", -1)), HasSubstr("\"change_s\""));
  EXPECT_THAT(refusal(with("root", "nowhere")), HasSubstr("root \"nowhere\""));
}

TEST_F(ManifestTest, roots_are_folders_and_are_not_left) {
  add_item("sub", 1);
  json item = {{"id", "s"}, {"root", "r"}, {"mics", "mic.wav"}};
  json manifest = {{"conclave_bench", 1}, {"roots", {{"r", "sub"}}}, {"items", {item}}};
  EXPECT_TRUE(parse_manifest(manifest.dump(), path("m.json")));
  manifest["items"][0]["mics"] = "../set.json";
  EXPECT_THAT(parse_manifest(manifest.dump(), path("m.json")).error().message,
              HasSubstr("leaves its root"));
  manifest["roots"]["r"] = "nowhere";
  EXPECT_THAT(parse_manifest(manifest.dump(), path("m.json")).error().message,
              HasSubstr("is not a folder"));
}

TEST_F(ManifestTest, refuses_bad_recordings) {
  const json good = add_item("a", 1);
  const auto with = [&](const char* key, const std::string& file) {
    json item = good;
    item[key] = file;
    return item;
  };
  ASSERT_TRUE(save_sound(path("wide.wav"), noise(3, 0.1F, 5, 48000), 48000));
  EXPECT_THAT(load_refusal(with("far", "wide.wav")), HasSubstr("48000 Hz"));
  EXPECT_THAT(load_refusal(with("near", "wide.wav")), HasSubstr("48000 Hz"));
  ASSERT_TRUE(save_sound(path("short.wav"), noise(1, 0.1F, 5), 16000));
  EXPECT_THAT(load_refusal(with("near", "short.wav")), HasSubstr("not as long"));
  auto bad = noise(3, 0.1F, 6);
  bad[20000] = std::numeric_limits<float>::quiet_NaN();
  ASSERT_TRUE(save_sound(path("nan.wav"), bad, 16000));
  EXPECT_THAT(load_refusal(with("mics", "nan.wav")), HasSubstr("nan.wav"));
  const std::string whole = text("a/mic.wav");
  ASSERT_TRUE(write_text(path("cut.wav"), whole.substr(0, whole.size() / 2)));
  EXPECT_THAT(load_refusal(with("mics", "cut.wav")), HasSubstr("cut.wav"));
  ASSERT_TRUE(write_text(path("text.wav"), "this is no sound at all, but it is long enough"));
  EXPECT_THAT(load_refusal(with("mics", "text.wav")), HasSubstr("text.wav"));
  ASSERT_TRUE(save_sound(path("blip.wav"), noise(0.1, 0.1F, 5), 16000));
  json blip = {{"id", "b"}, {"mics", "blip.wav"}};
  EXPECT_THAT(load_refusal(blip), HasSubstr("shorter than half a second"));
}

TEST(ShardTest, is_i_of_n) {
  EXPECT_EQ(parse_shard("2/3")->index, 2);
  EXPECT_EQ(parse_shard("2/3")->count, 3);
  for (const char* bad : {"", "1", "0/2", "3/2", "1/0", "a/b", "1/2x", "-1/2"})
    EXPECT_FALSE(parse_shard(bad)) << bad;
}

}  // namespace
}  // namespace conclave::bench::echo
