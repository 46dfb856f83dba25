// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>

#include "bench/room/scene.h"
#include "bench/room/talk.h"
#include "bench/room/voices.h"

namespace conclave::bench::room {
namespace {

TEST(Scene, default_scene_survives_a_round_trip) {
  for (const int rate : {48000, 16000}) {
    const Scene scene = default_scene(rate);
    ASSERT_TRUE(check_scene(scene)) << check_scene(scene).error().message;
    auto again = parse_scene(scene_json(scene));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(scene_json(*again), scene_json(scene));
    EXPECT_EQ(again->microphones(), 10);
    EXPECT_EQ(again->block_frames(), rate / 200);
  }
}

TEST(Scene, missing_keys_keep_their_default) {
  auto scene =
      parse_scene(R"({"sample_rate":16000,"room":{"rt60":0.5},"fan":{"position":"diffuse"}})");
  ASSERT_TRUE(scene) << scene.error().message;
  EXPECT_EQ(scene->sample_rate, 16000);
  EXPECT_EQ(scene->rt60, 0.5);
  EXPECT_FALSE(scene->fan_at.has_value());
  EXPECT_EQ(scene->ring.size(), 8U);
}

TEST(Scene, what_is_wrong_is_named) {
  const std::array<std::array<const char*, 2>, 12> cases{
      {{"{", "JSON"},
       {"[]", "object"},
       {R"({"sample_rate":44100})", "sample_rate"},
       {R"({"room":{"size":[1,2]}})", "room.size"},
       {R"({"room":{"rt60":-1}})", "rt60"},
       {R"({"ring":[]})", "ring"},
       {R"({"ring":[[0,0,99]]})", "ring"},
       {R"({"talkers":[{"id":"a/b"}]})", "id"},
       {R"({"talkers":[{"id":"A"},{"id":"A"}]})", "two talkers"},
       {R"({"satellites":[{"position":[1,0,0],"ppm":99999}]})", "ppm"},
       {R"({"block_ms":3})", "block_ms"},
       {R"({"loudspeaker":{"gain_db":"loud"}})", "loudspeaker.gain_db"}}};
  for (const auto& [text, word] : cases) {
    const auto scene = parse_scene(text);
    ASSERT_FALSE(scene) << text;
    EXPECT_NE(scene.error().message.find(word), std::string::npos) << scene.error().message;
  }
}

TEST(Scene, a_missing_file_is_named) {
  const auto scene = load_scene("/nowhere/scene.json");
  ASSERT_FALSE(scene);
  EXPECT_NE(scene.error().message.find("/nowhere/scene.json"), std::string::npos);
}

TEST(Voices, a_missing_voice_names_the_package) {
  const auto voice = load_utterances("es_MX_f_Allison", 16000, 5, 1, "/nowhere");
  ASSERT_FALSE(voice);
  EXPECT_NE(voice.error().message.find("asterisk-core-sounds-es-g722"), std::string::npos);
}

TEST(Voices, g722_is_decoded) {
  // 0xfa.. is what an encoder sends for silence; anything decodes to two samples a byte.
  const auto path = std::filesystem::temp_directory_path() / "conclave_test.g722";
  std::ofstream(path, std::ios::binary) << std::string(800, static_cast<char>(0xfa));
  const auto samples = read_g722(path.string());
  ASSERT_TRUE(samples) << samples.error().message;
  EXPECT_EQ(samples->size(), 1600U);
  for (const float x : *samples) EXPECT_LT(std::abs(x), 0.02F);
  std::ofstream(path, std::ios::binary | std::ios::trunc).flush();
  EXPECT_FALSE(read_g722(path.string()));
  std::filesystem::remove(path);
  EXPECT_FALSE(read_g722(path.string()));
}

TEST(Voices, installed_prompts_are_speech) {
  if (!std::filesystem::exists(std::string(kVoiceFolder) + "/en_US_f_Allison"))
    GTEST_SKIP() << "asterisk-core-sounds-en-g722 is not installed";
  const auto pieces = load_utterances("en_US_f_Allison", 48000, 12, 3);
  ASSERT_TRUE(pieces) << pieces.error().message;
  double seconds = 0;
  for (const auto& piece : *pieces) {
    seconds += static_cast<double>(piece.size()) / 48000;
    EXPECT_NEAR(active_rms(piece, 48000), 1, 0.1);
  }
  EXPECT_GE(seconds, 12);
  // The same seed is the same talk, another seed another one.
  EXPECT_EQ(*load_utterances("en_US_f_Allison", 48000, 12, 3), *pieces);
  EXPECT_NE(*load_utterances("en_US_f_Allison", 48000, 12, 4), *pieces);
}

TEST(Talk, turns_do_not_overlap_and_the_level_is_right) {
  Scene scene = synthetic_scene(16000);
  scene.talk_seconds = 40;
  const auto talk = make_talk(scene);
  ASSERT_TRUE(talk) << talk.error().message;
  EXPECT_EQ(talk->loop_samples, 40 * 16000);
  int alone = 0;
  int both = 0;
  int nobody = 0;
  int changes = 0;
  int last = -1;
  for (std::size_t f = 0; f < talk->active[0].size(); ++f) {
    const bool a = talk->active[0][f];
    const bool b = talk->active[1][f];
    (a && b ? both : a || b ? alone : nobody)++;
    const int now = a ? 0 : b ? 1 : last;
    changes += last >= 0 && now != last ? 1 : 0;
    last = now;
  }
  EXPECT_EQ(both, 0);
  EXPECT_GT(alone, nobody);
  EXPECT_GT(nobody, 200);
  EXPECT_GT(changes, 3);
  for (std::size_t t = 0; t < 2; ++t)
    EXPECT_NEAR(20 * std::log10(active_rms(talk->dry[t], 16000)), scene.talkers[t].level_dbfs, 2);
}

}  // namespace
}  // namespace conclave::bench::room
