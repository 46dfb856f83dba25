// SPDX-License-Identifier: Apache-2.0
// The program itself: exit codes, one line of text, Ctrl-C, and the page in a browser.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "tests/bench/bench_fixture.h"

namespace conclave::bench::echo {
namespace {

using nlohmann::json;
using testing::HasSubstr;

struct Outcome {
  int code = -1;
  std::string text;  // both streams
};

Outcome shell(const std::string& command) {
  Outcome outcome;
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> buffer{};
  for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    outcome.text.append(buffer.data(), got);
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

class BenchCli : public BenchTest {
 protected:
  static Outcome bench(const std::string& arguments) {
    return shell(std::string(CONCLAVE_PROGRAM) + " bench " + arguments);
  }
  std::string items(int count) const {
    json list = json::array();
    for (int i = 0; i < count; ++i)
      list.push_back(add_item("item-" + std::to_string(i), static_cast<std::uint64_t>(i)));
    return write_manifest(list);
  }
};

TEST_F(BenchCli, helps_and_refuses) {
  for (const char* command : {"", "run ", "merge ", "show ", "compare ", "generate ", "import "})
    EXPECT_EQ(bench(std::string(command) + "--help").code, 0) << command;
  EXPECT_THAT(bench("run --help").text, HasSubstr("speexdsp"));
  const std::string manifest = items(1);
  const std::string out = " --out " + path("out");
  const std::string run = "run " + manifest + out;
  EXPECT_EQ(bench("").code, 2);
  EXPECT_EQ(bench("run " + manifest).code, 2);
  EXPECT_EQ(bench(run + " --shard 3/2").code, 2);
  EXPECT_EQ(bench(run + " --jobs 0").code, 2);
  EXPECT_EQ(bench("compare a b --fail-on x").code, 2);
  for (const std::string& failing :
       {"run " + path("none.json") + out, run + " --systems x", "merge " + path("none") + out,
        std::string("compare a b"), "import " + path("none") + out}) {
    const auto outcome = bench(failing);
    EXPECT_EQ(outcome.code, 1) << failing;
    EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1) << outcome.text;
  }
}

TEST_F(BenchCli, runs_quietly_or_with_plain_lines) {
  const std::string run = "run " + items(2) + " --out " + path("out") + " --systems none,speexdsp";
  const auto quiet = bench(run + " --quiet");
  EXPECT_EQ(quiet.code, 0);
  EXPECT_EQ(quiet.text, "");
  const auto told = bench(run + " --report none");
  EXPECT_EQ(told.code, 0);
  EXPECT_THAT(told.text, HasSubstr("bench: 50 %\n"));
  EXPECT_THAT(told.text, HasSubstr("2 items x 2 systems"));
  EXPECT_THAT(bench("show " + path("out") + " --metrics erle_all,lag_ms").text,
              HasSubstr("scenario  system    erle_all   lag_ms\n"));
  EXPECT_EQ(bench("compare " + path("out") + " " + path("out")).text, "nothing changed\n");
}

TEST_F(BenchCli, a_system_with_commas_is_one) {
  const auto outcome =
      bench("run " + items(1) + " --out " + path("out") +
            " --report none --systems \"none,c=cp --suffix=a,b {mic} {out},webrtc\"");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("1 items x 3 systems"));
}

TEST_F(BenchCli, ctrl_c_leaves_what_is_finished_and_says_how_to_go_on) {
  // The command takes half a second: a signal after two finds some items finished and some not.
  const std::string run =
      "run " + items(12) + " --out " + path("out") +
      " --jobs 1 --report none --systems \"slow=sh -c 'sleep 0.5; cp \\$0 \\$1' "
      "{mic} {out}\"";
  const auto outcome =
      shell("timeout --foreground -s INT 2 " + std::string(CONCLAVE_PROGRAM) + " bench " + run);
  EXPECT_THAT(outcome.text, HasSubstr("of 12 items are finished"));
  EXPECT_THAT(outcome.text, HasSubstr("--resume"));
  const auto finished = json::parse(text("out/results.json"))["items"].size();
  EXPECT_LT(finished, 12U);
  const auto rest = bench(run + " --resume");
  EXPECT_EQ(rest.code, 0) << rest.text;
  EXPECT_EQ(json::parse(text("out/results.json"))["items"].size(), 12U);
}

TEST_F(BenchCli, the_page_works_in_a_browser) {
  ASSERT_EQ(bench("run " + items(1) + " --out " + path("out") + " --systems none,speexdsp").code,
            0);
  // Opens the player on the first recording, and puts what it finds into the title.
  std::string page = text("out/report.html");
  const std::string last = "player.tick();\n</script>";
  ASSERT_NE(page.find(last), std::string::npos);
  page.replace(page.find(last), last.size(), R"(player.tick();
player.open(D.items[0]).then(() => {
  player.hear("B");
  player.say("A");
  document.title = `${player.buffers.size} tracks of ${player.length().toFixed(1)} s, ` +
    `${document.querySelectorAll("#overview tbody tr").length} rows, ` +
    `${document.querySelectorAll(".pic").length} pictures, ${player.trials} trial`;
}).catch((error) => (document.title = String(error)));
</script>)");
  ASSERT_TRUE(write_text(path("page.html"), page));
  const auto shown =
      shell("chromium --headless --no-sandbox --disable-gpu --user-data-dir=" + path("profile") +
            " --no-first-run --disable-background-networking --virtual-time-budget=3000 --dump-dom "
            "file://" +
            path("page.html") + " 2>/dev/null");
  EXPECT_THAT(shown.text, HasSubstr("<title>4 tracks of 3.0 s, 1 rows, 5 pictures, 1 trial"));
}

}  // namespace
}  // namespace conclave::bench::echo
