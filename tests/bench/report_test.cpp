// SPDX-License-Identifier: Apache-2.0
// The report: one page with everything inside, within its size.
#include <gmock/gmock.h>

#include <cmath>

#include "bench/echo/opus_file.h"
#include "bench/echo/picture.h"
#include "bench/echo/report.h"
#include "tests/bench/bench_fixture.h"

namespace conclave::bench::echo {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class ReportTest : public BenchTest {
 protected:
  std::string page(const ReportOptions& report = {}) const {
    json items = json::array({add_item("a", 1), add_item("b", 2, 3, 48000)});
    items[0]["scenario"] = "</script><b>";
    const auto outcome = run_bench(options(write_manifest(items), "out"));
    EXPECT_TRUE(outcome);
    const Status written = write_report(Store(path("out")), outcome->plan, report);
    EXPECT_TRUE(written);
    return text("out/report.html");
  }
  // What the page holds.
  static json data_of(const std::string& page) {
    const auto begin = page.find("const D = ") + 10;
    const auto end = page.find(";\nconst $ =", begin);
    std::string data = page.substr(begin, end - begin);
    for (std::size_t at = 0; (at = data.find("<\\/", at)) != std::string::npos; ++at)
      data.erase(at + 1, 1);
    return json::parse(data, nullptr, false);
  }
};

TEST_F(ReportTest, holds_everything_and_asks_for_nothing) {
  const std::string whole = page();
  const json data = data_of(whole);
  ASSERT_TRUE(data.is_object());
  EXPECT_EQ(data["systems"], json({"none", "speexdsp"}));
  ASSERT_EQ(data["items"].size(), 2U);
  for (const json& item : data["items"]) {
    // Microphone, far end, near talker and two systems; the far end is not listened to.
    EXPECT_EQ(item["pictures"].size(), 5U);
    EXPECT_EQ(item["sounds"].size(), 4U);
    for (const json& picture : item["pictures"])
      EXPECT_THAT(picture[1].get<std::string>(), HasSubstr("data:image/png;base64,iVBORw0KGgo"));
    for (const json& sound : item["sounds"])
      EXPECT_THAT(sound[1].get<std::string>(), HasSubstr("data:audio/ogg;base64,T2dnUw"));
  }
  EXPECT_TRUE(data["summary"].contains("</script><b>"));
  EXPECT_THAT(whole, Not(HasSubstr("</script><b>")));
  std::size_t addresses = 0;
  for (std::size_t at = 0; (at = whole.find("http", at)) != std::string::npos; ++at) ++addresses;
  EXPECT_EQ(addresses, 1U) << "the name of SVG alone";
}

TEST_F(ReportTest, sound_is_left_out_when_asked_or_when_it_does_not_fit) {
  EXPECT_FALSE(data_of(page({.kind = ReportKind::kPictures, .progress = {}}))["items"][0].contains(
      "sounds"));
  const auto small = data_of(page({.megabytes = 0.01, .progress = {}}));
  EXPECT_FALSE(small["items"][0].contains("sounds"));
  EXPECT_EQ(small["items"][0]["pictures"].size(), 5U);
}

TEST(Picture, base64_is_the_standard_one) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64(std::string("\xff\xfe\x00", 3)), "//4A");
}

TEST(Picture, a_tone_is_a_line_at_its_place) {
  std::vector<float> tone(16000);
  for (std::size_t i = 0; i < tone.size(); ++i)
    tone[i] = 0.5F * std::sin(2 * 3.14159265F * 1000 * static_cast<float>(i) / 16000);
  const auto picture = spectrogram(tone, 16000, 50, 80);
  ASSERT_TRUE(picture);
  const auto column = [&](int row) { return picture->db[static_cast<std::size_t>(row) * 50 + 25]; };
  int loudest = 0;
  for (int r = 0; r < 80; ++r) loudest = column(r) > column(loudest) ? r : loudest;
  EXPECT_NEAR(loudest, 80 * (1 - 1000.0 / 2840.0), 2);  // 1000 of 2840 mel from below
  EXPECT_GT(column(loudest) - column(10), 50);
  const std::string file = png(*picture, loud_level(*picture));
  EXPECT_EQ(file.substr(1, 3), "PNG");
  EXPECT_LT(file.size(), 4000U + 120U);
}

TEST(OpusFile, holds_the_sound) {
  std::vector<float> tone(32000);
  for (std::size_t i = 0; i < tone.size(); ++i)
    tone[i] = 0.25F * std::sin(2 * 3.14159265F * 440 * static_cast<float>(i) / 16000);
  const auto low = opus_file(tone, 16000, 16);
  const auto high = opus_file(tone, 16000, 64);
  ASSERT_TRUE(low && high);
  EXPECT_EQ(low->substr(0, 4), "OggS");
  EXPECT_LT(low->size(), high->size());
  EXPECT_LT(high->size(), 64000U);
  EXPECT_TRUE(opus_file({}, 48000, 32));
}

}  // namespace
}  // namespace conclave::bench::echo
