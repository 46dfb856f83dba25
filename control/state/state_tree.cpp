// SPDX-License-Identifier: Apache-2.0
#include "control/state/state_tree.h"

#include <algorithm>

#include "control/state/merge_patch.h"

namespace conclave::control {

using Json = nlohmann::json;

bool StateTree::publish(const Json& patch) {
  std::vector<Listener> listeners;
  {
    const std::lock_guard lock(mutex_);
    auto next = std::make_shared<Snapshot>(*current_);
    if (!merge_apply(next->state, patch)) return false;
    ++next->revision;
    current_ = std::move(next);
    listeners = listeners_;
  }
  for (const Listener& listener : listeners) listener();
  return true;
}

bool StateTree::publish_at(const std::string& pointer, const Json& value) {
  Json patch = Json::object();
  Json* at = &patch;
  for (std::size_t begin = 1; begin <= pointer.size();) {
    const std::size_t end = std::min(pointer.find('/', begin), pointer.size());
    at = &(*at)[pointer.substr(begin, end - begin)];
    begin = end + 1;
  }
  *at = value;
  return publish(patch);
}

bool StateTree::replace(const std::string& member, const Json& value) {
  const SnapshotPtr now = snapshot();
  const auto old = now->state.find(member);
  if (old == now->state.end() || !old->is_object() || !value.is_object()) {
    return publish({{member, value}});
  }
  const Json difference = merge_diff(*old, value);
  return !difference.empty() && publish({{member, difference}});
}

StateTree::SnapshotPtr StateTree::snapshot() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

void StateTree::listen(Listener listener) {
  const std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(listener));
}

bool StateFollower::behind() const {
  return !sent_ || sent_->revision != tree_->snapshot()->revision;
}

Json StateFollower::next() {
  StateTree::SnapshotPtr now = tree_->snapshot();
  Json message{{"jsonrpc", "2.0"}};
  if (!sent_) {
    revision_ = std::max(revision_ + 1, now->revision);
    message["method"] = "state.snapshot";
    message["params"] = {{"rev", revision_}, {"state", now->state}};
    sent_ = std::move(now);
    return message;
  }
  if (sent_->revision == now->revision) return nullptr;
  Json patch = merge_diff(sent_->state, now->state);
  sent_ = std::move(now);
  if (patch.empty()) return nullptr;  // changed and changed back
  message["method"] = "state.patch";
  message["params"] = {{"rev", ++revision_}, {"patch", std::move(patch)}};
  return message;
}

Json StateFollower::resync() {
  sent_ = tree_->snapshot();
  return {{"rev", ++revision_}, {"state", sent_->state}};
}

}  // namespace conclave::control
