// SPDX-License-Identifier: Apache-2.0
#include "control/settings/store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "tests/support/temp_folder.h"

namespace conclave::control {
namespace {

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}
void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class StoreTest : public ::testing::Test {
 protected:
  conclave::test::TempFolder folder_;
  std::string path_ = folder_.path() + "/settings";
  Store store_{path_};
};

TEST_F(StoreTest, gives_back_what_was_saved_and_nobody_else_can_read_it) {
  EXPECT_EQ(store_.load().source, Store::Source::kNone);
  ASSERT_TRUE(store_.save("one\n").ok());
  ASSERT_TRUE(store_.save("two\n").ok());
  EXPECT_EQ(store_.load().content, "two\n");
  EXPECT_EQ(store_.load().source, Store::Source::kCurrent);
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(StoreTest, cut_at_every_byte_falls_back_to_the_last_good_one) {
  ASSERT_TRUE(store_.save("{\"values\": \"old\"}\n").ok());
  ASSERT_TRUE(store_.save("{\"values\": \"new\", \"more\": 1}\n").ok());
  const std::string whole = read(path_);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write(path_, whole.substr(0, length));
    const auto loaded = store_.load();
    ASSERT_EQ(loaded.source, Store::Source::kLastGood) << length;
    ASSERT_EQ(loaded.content, "{\"values\": \"old\"}\n") << length;
    ASSERT_FALSE(loaded.note.empty()) << length;
  }
}

TEST_F(StoreTest, every_changed_byte_is_noticed) {
  ASSERT_TRUE(store_.save("old").ok());
  ASSERT_TRUE(store_.save("the new content of this file").ok());
  const std::string whole = read(path_);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char flip : {'\x01', '\x80'}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      write(path_, damaged);
      ASSERT_EQ(store_.load().content, "old") << at;
    }
  }
}

TEST_F(StoreTest, both_copies_damaged_gives_nothing_and_says_so) {
  ASSERT_TRUE(store_.save("a").ok());
  ASSERT_TRUE(store_.save("b").ok());
  write(path_, "");
  write(path_ + ".last-good", "conclave-store 1 sha256=");
  const auto loaded = store_.load();
  EXPECT_EQ(loaded.source, Store::Source::kNone);
  EXPECT_NE(loaded.note.find("last-good"), std::string::npos);
  ASSERT_TRUE(store_.save("c").ok());
  EXPECT_EQ(store_.load().content, "c");
}

TEST_F(StoreTest, a_damaged_file_never_becomes_the_last_good_one) {
  ASSERT_TRUE(store_.save("good").ok());
  ASSERT_TRUE(store_.save("better").ok());
  write(path_, "damage");
  ASSERT_TRUE(store_.save("best").ok());
  write(path_, "damage");
  EXPECT_EQ(store_.load().content, "good");
}

TEST_F(StoreTest, what_a_power_cut_leaves_behind_does_not_disturb) {
  ASSERT_TRUE(store_.save("kept").ok());
  write(path_ + ".new", "half a fi");
  write(path_ + ".link", "x");
  EXPECT_EQ(store_.load().content, "kept");
  EXPECT_TRUE(store_.save("next").ok());
  EXPECT_EQ(store_.load().content, "next");
}

TEST_F(StoreTest, hostile_first_lines_are_refused) {
  for (const std::string& bytes :
       {std::string("conclave-store 1 sha256=\n"), std::string("\n"), std::string(100000, 'a'),
        "conclave-store 1 sha256=" + std::string(64, '0') + " bytes=99999999999999999999\n",
        "conclave-store 1 sha256=" + std::string(64, '0') + " bytes=-1\n",
        "conclave-store 1 sha256=" + std::string(64, '0') + " bytes=\n"}) {
    EXPECT_FALSE(Store::open_sealed(bytes).ok());
  }
}

}  // namespace
}  // namespace conclave::control
