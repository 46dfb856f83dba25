// SPDX-License-Identifier: Apache-2.0
#include "control/state/merge_patch.h"

namespace conclave::control {

using Json = nlohmann::json;

Json merge_diff(const Json& from, const Json& to) {
  Json patch = Json::object();
  for (const auto& [key, value] : from.items()) {
    if (!to.contains(key)) patch[key] = nullptr;
  }
  for (const auto& [key, value] : to.items()) {
    const auto old = from.find(key);
    const bool known = old != from.end();
    if (known && old->is_object() && value.is_object()) {
      if (Json inner = merge_diff(*old, value); !inner.empty()) patch[key] = std::move(inner);
    } else if (!known || *old != value) {
      patch[key] = value;
    }
  }
  return patch;
}

bool merge_apply(Json& target, const Json& patch) {
  bool changed = false;
  if (!target.is_object()) {
    target = Json::object();
    changed = true;
  }
  for (const auto& [key, value] : patch.items()) {
    if (value.is_null()) {
      changed |= target.erase(key) > 0;
    } else if (value.is_object()) {
      const auto old = target.find(key);
      if (old == target.end() || !old->is_object()) {
        target[key] = Json::object();
        changed = true;
      }
      changed |= merge_apply(target[key], value);
    } else if (const auto old = target.find(key); old == target.end() || *old != value) {
      target[key] = value;
      changed = true;
    }
  }
  return changed;
}

}  // namespace conclave::control
