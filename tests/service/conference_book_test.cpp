// SPDX-License-Identifier: Apache-2.0
#include "service/conference_book.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace conclave::service {
namespace {

using protocol::Role;

struct Book : testing::Test {
  ManualClock clock;
  ConferenceBook book{clock};
  int changes = 0;
  std::vector<std::string> removed;

  void SetUp() override {
    book.set_listener(
        {[this] { ++changes; }, {}, [this](const std::string& id) { removed.push_back(id); }});
  }
  std::string expect(Role role = Role::kParticipant, std::uint64_t session = 1) {
    return book.expect("c", session, "SN", "Name", role, true)->id;
  }
};

TEST_F(Book, roster_shows_who_has_a_call) {
  const auto id = expect();
  EXPECT_TRUE(book.roster("c").participants.empty());
  const auto before = book.revision("c");
  EXPECT_TRUE(book.arrived(id));
  EXPECT_EQ(book.roster("c").participants.count(id), 1u);
  EXPECT_GT(book.revision("c"), before);
  EXPECT_EQ(book.roster("other").participants.size(), 0u);
  EXPECT_TRUE(book.remove(id));
  EXPECT_TRUE(book.roster("c").participants.empty());
  EXPECT_FALSE(book.remove(id));
  EXPECT_FALSE(book.arrived(id));
  EXPECT_EQ(removed, std::vector<std::string>{id});
}

TEST_F(Book, who_never_calls_is_forgotten) {
  const auto late = expect();
  const auto there = expect();
  book.arrived(there);
  clock.advance_ns(std::int64_t{ConferenceBook::kExpectedSeconds + 1} * 1'000'000'000);
  book.sweep();
  EXPECT_FALSE(book.find(late).has_value());
  EXPECT_TRUE(book.find(there).has_value());
}

TEST_F(Book, revision_moves_only_with_changes) {
  const auto id = expect();
  book.arrived(id);
  const auto rev = book.revision("c");
  book.set_muted(id, false);
  book.set_talking(id, false);
  EXPECT_EQ(book.revision("c"), rev);
  book.set_talking(id, true);
  EXPECT_EQ(book.revision("c"), rev + 1);
  book.set_muted(id, true);
  EXPECT_EQ(book.revision("c"), rev + 2);
  EXPECT_FALSE(book.roster("c").participants[id].talking);
  book.set_talking(id, true);  // a muted line does not talk
  EXPECT_FALSE(book.roster("c").participants[id].talking);
}

TEST_F(Book, F116_mute_all_holds_for_those_who_come_later) {
  const auto chair = expect(Role::kChairperson);
  const auto one = expect();
  book.arrived(chair);
  book.arrived(one);
  book.set_all_muted("c", true);
  EXPECT_TRUE(book.find(one)->entry.muted);
  EXPECT_FALSE(book.find(chair)->entry.muted);
  EXPECT_TRUE(book.find(expect())->entry.muted);
  book.set_all_muted("c", false);
  EXPECT_FALSE(book.find(one)->entry.muted);
}

TEST_F(Book, a_full_conference_takes_nobody) {
  for (std::size_t i = 0; i < ConferenceBook::kMaxParticipants; ++i) expect();
  EXPECT_FALSE(book.expect("c", 1, "SN", "n", Role::kParticipant, true).has_value());
  EXPECT_TRUE(book.expect("d", 1, "SN", "n", Role::kParticipant, true).has_value());
}

}  // namespace
}  // namespace conclave::service
