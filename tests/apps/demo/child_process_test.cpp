// SPDX-License-Identifier: Apache-2.0
#include "apps/demo/child_process.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace conclave::apps {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ChildProcess shell(const std::string& script, const std::string& log = "") {
  auto child =
      ChildProcess::start({"script", {"/bin/sh", "-c", script}, {{"GREETING", "hello"}}, log});
  EXPECT_TRUE(child.ok());
  return std::move(*child);
}

TEST(ChildProcess, reads_lines_and_passes_the_environment) {
  auto child = shell("echo $GREETING; echo second; sleep 5");
  EXPECT_EQ(child.read_line(seconds(5)).value_or(""), "hello");
  EXPECT_EQ(child.read_line(seconds(5)).value_or(""), "second");
  EXPECT_FALSE(child.read_line(milliseconds(50)).ok());
  EXPECT_TRUE(child.running());
  EXPECT_TRUE(child.stop());
  EXPECT_FALSE(child.running());
}
TEST(ChildProcess, explains_an_early_end_by_the_last_line_of_the_log) {
  const std::string log = testing::TempDir() + "child_process_log";
  auto child = shell("echo 'port 5061 is taken' >&2; exit 3", log);
  const auto line = child.read_line(seconds(5));
  ASSERT_FALSE(line.ok());
  EXPECT_NE(line.error().message.find("port 5061 is taken"), std::string::npos);
  EXPECT_EQ(child.exit_code(), 3);
  std::remove(log.c_str());
}
TEST(ChildProcess, kills_what_does_not_listen) {
  auto child = shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
  ASSERT_TRUE(child.read_line(seconds(5)).ok());
  EXPECT_FALSE(child.stop(milliseconds(200)));
  EXPECT_EQ(child.exit_code(), 128 + 9);
}
TEST(ChildProcess, tells_when_the_program_is_not_there) {
  auto child = ChildProcess::start({"ghost", {"/nonexistent/ghost"}, {}, ""});
  ASSERT_TRUE(child.ok());
  EXPECT_FALSE(child->read_line(seconds(5)).ok());
  EXPECT_EQ(child->exit_code(), 127);
}

}  // namespace
}  // namespace conclave::apps
