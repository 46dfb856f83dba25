// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

namespace conclave::control {

/// What the phone is and does right now, as one JSON object without nulls. Each change makes a new
/// immutable snapshot with the next revision. Collections are objects keyed by id.
///
/// publish(): control thread. snapshot() and StateFollower: any thread.
class StateTree {
 public:
  struct Snapshot {
    std::uint64_t revision = 0;
    nlohmann::json state = nlohmann::json::object();
  };
  using SnapshotPtr = std::shared_ptr<const Snapshot>;
  using Listener = std::function<void()>;

  StateTree() : current_(std::make_shared<Snapshot>()) {}

  /// Merges an RFC 7396 patch. A patch that changes nothing makes no revision. False then.
  bool publish(const nlohmann::json& patch);
  /// One member by a path such as "/call/muted".
  bool publish_at(const std::string& pointer, const nlohmann::json& value);
  /// Makes one member of the root equal `value`, members that are gone included.
  bool replace(const std::string& member, const nlohmann::json& value);
  SnapshotPtr snapshot() const;

  /// Called on the publishing thread after each change; must only wake somebody.
  void listen(Listener listener);

 private:
  mutable std::mutex mutex_;
  SnapshotPtr current_;
  std::vector<Listener> listeners_;
};

/// One client's place: what it was sent last. It never queues: however slow the client, the next
/// message is the difference to the newest state. Used by one thread.
class StateFollower {
 public:
  explicit StateFollower(const StateTree& tree) : tree_(&tree) {}

  /// True when next() would return something.
  bool behind() const;
  /// The next JSON-RPC notification to send: `state.snapshot` at first and after restart(), then
  /// `state.patch`; null when there is nothing new. `rev` counts this client's messages up by one,
  /// so that a gap means a lost message although states in between are skipped.
  nlohmann::json next();
  /// {rev, state} of now, as the answer to state.resync; patches go on from there.
  nlohmann::json resync();
  void restart() { sent_.reset(); }

 private:
  const StateTree* tree_;
  StateTree::SnapshotPtr sent_;
  std::uint64_t revision_ = 0;
};

}  // namespace conclave::control
