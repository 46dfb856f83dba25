// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/realtime.h"

namespace conclave::log {
namespace {

std::string logged(const auto& what) {
  const std::string path = testing::TempDir() + "conclave_log_" + std::to_string(getpid());
  EXPECT_TRUE(set_file(path));
  what();
  set_file("");
  std::ifstream in(path);
  std::stringstream all;
  all << in.rdbuf();
  std::remove(path.c_str());
  return all.str();
}

TEST(Log, writes_one_structured_line) {
  const auto text = logged([] {
    warning("net", "link lost", {{"port", "p0"}, {"ms", 12}, {"why", "a b"}});
  });
  EXPECT_NE(text.find("warning net: link lost port=p0 ms=12 why=\"a b\"\n"), std::string::npos)
      << text;
}
TEST(Log, cannot_be_forged_by_outside_data) {
  const auto text = logged([] { info("sip", "name\ninjected", {{"from", "x\"\n\x1b[2J"}}); });
  EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}
TEST(Log, takes_records_from_the_audio_thread_without_allocating) {
  RealtimeLog rt(4);
  {
    const realtime::Scope scope;
    for (int i = 0; i < 6; ++i) rt.post("xrun", i, 1.5);
  }
  const auto text = logged([&] { rt.drain("engine"); });
  EXPECT_NE(text.find("engine: xrun"), std::string::npos);
  EXPECT_NE(text.find("dropped=2"), std::string::npos);
}

}  // namespace
}  // namespace conclave::log
