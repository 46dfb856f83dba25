// SPDX-License-Identifier: Apache-2.0
#include "control/state/state_tree.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "control/state/merge_patch.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;

/// What a client does with the messages.
void follow(Json& mine, std::uint64_t& revision, const Json& message) {
  const Json& params = message.at("params");
  if (message.at("method") == "state.snapshot") {
    mine = params.at("state");
  } else {
    ASSERT_EQ(params.at("rev").get<std::uint64_t>(), revision + 1);
    mine.merge_patch(params.at("patch"));
  }
  revision = params.at("rev").get<std::uint64_t>();
}

Json random_tree(std::minstd_rand& random, int depth) {
  Json out = Json::object();
  const int members = static_cast<int>(random() % 5);
  for (int i = 0; i < members; ++i) {
    const std::string key(1, static_cast<char>('a' + random() % 6));
    if (depth > 0 && random() % 2 == 0) {
      out[key] = random_tree(random, depth - 1);
    } else {
      out[key] = random() % 4;
    }
  }
  return out;
}

TEST(MergePatch, a_difference_applied_gives_the_other_tree) {
  std::minstd_rand random(7);
  for (int i = 0; i < 2000; ++i) {
    const Json from = random_tree(random, 3);
    const Json to = random_tree(random, 3);
    Json mine = from;
    mine.merge_patch(merge_diff(from, to));  // the library's own, as the reference
    ASSERT_EQ(mine, to);
    Json ours = from;
    EXPECT_EQ(merge_apply(ours, merge_diff(from, to)), from != to);
    ASSERT_EQ(ours, to);
  }
}

TEST(StateTree, a_patch_that_changes_nothing_makes_no_revision) {
  StateTree tree;
  EXPECT_TRUE(tree.publish({{"call", {{"state", "idle"}}}}));
  const auto revision = tree.snapshot()->revision;
  EXPECT_FALSE(tree.publish({{"call", {{"state", "idle"}}}}));
  EXPECT_FALSE(tree.publish({{"call", {{"error", nullptr}}}}));
  EXPECT_EQ(tree.snapshot()->revision, revision);
}

TEST(StateTree, replace_takes_away_what_is_gone) {
  StateTree tree;
  tree.publish({{"roster", {{"p1", {{"name", "A"}}}, {"p2", {{"name", "B"}}}}}});
  EXPECT_TRUE(tree.replace("roster", {{"p2", {{"name", "B"}}}}));
  EXPECT_EQ(tree.snapshot()->state["roster"], Json({{"p2", {{"name", "B"}}}}));
  EXPECT_FALSE(tree.replace("roster", {{"p2", {{"name", "B"}}}}));
}

TEST(StateTree, a_follower_gets_a_snapshot_and_then_patches_that_count_up) {
  StateTree tree;
  tree.publish({{"a", 1}});
  StateFollower follower(tree);
  Json mine;
  std::uint64_t revision = 0;
  EXPECT_TRUE(follower.behind());
  follow(mine, revision, follower.next());
  EXPECT_FALSE(follower.behind());
  EXPECT_TRUE(follower.next().is_null());
  tree.publish_at("/b/c", 5);
  follow(mine, revision, follower.next());
  EXPECT_EQ(mine, Json({{"a", 1}, {"b", {{"c", 5}}}}));
}

TEST(StateTree, a_slow_client_gets_the_newest_state_in_one_message) {
  StateTree tree;
  tree.publish({{"n", 0}, {"gone", true}});
  StateFollower slow(tree);
  Json mine;
  std::uint64_t revision = 0;
  follow(mine, revision, slow.next());
  for (int i = 1; i <= 1000; ++i) tree.publish({{"n", i}});
  tree.publish({{"gone", nullptr}});
  const Json message = slow.next();
  EXPECT_EQ(message["params"]["patch"], Json({{"n", 1000}, {"gone", nullptr}}));
  follow(mine, revision, message);
  EXPECT_EQ(mine, tree.snapshot()->state);
  EXPECT_TRUE(slow.next().is_null());
  // There and back again is no news.
  tree.publish({{"n", 1}});
  tree.publish({{"n", 1000}});
  EXPECT_TRUE(slow.next().is_null());
}

TEST(StateTree, resync_goes_on_from_the_whole_state) {
  StateTree tree;
  tree.publish({{"n", 0}});
  StateFollower follower(tree);
  follower.next();
  tree.publish({{"n", 1}});
  const Json answer = follower.resync();
  Json mine = answer["state"];
  std::uint64_t revision = answer["rev"].get<std::uint64_t>();
  tree.publish({{"n", 2}});
  follow(mine, revision, follower.next());
  EXPECT_EQ(mine["n"], 2);
}

TEST(StateTree, readers_on_other_threads_see_whole_states) {
  StateTree tree;
  tree.publish({{"a", 0}, {"b", 0}});
  std::thread reader([&tree] {
    StateFollower follower(tree);
    Json mine;
    std::uint64_t revision = 0;
    for (int n = 0; n < 2000;) {
      const Json message = follower.next();
      if (message.is_null()) {
        if (tree.snapshot()->state["a"] == 3000) break;
        continue;
      }
      ++n;
      follow(mine, revision, message);
      ASSERT_EQ(mine["a"], mine["b"]);
    }
  });
  for (int i = 1; i <= 3000; ++i) tree.publish({{"a", i}, {"b", i}});
  reader.join();
}

}  // namespace
}  // namespace conclave::control
