// SPDX-License-Identifier: Apache-2.0
#include "control/settings/registry.h"

#include <algorithm>

#include "base/log.h"
#include "control/access/password.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kLayerNames[kLayerCount] = {"factory", "provider", "site", "device",
                                                       "local"};

std::size_t index(Key key) { return static_cast<std::size_t>(key); }
std::size_t index(Layer layer) { return static_cast<std::size_t>(layer); }

Json range_of(const SettingRow& row) {
  if (row.type == Type::kInt || row.type == Type::kPort) {
    return Json{{"min", row.min}, {"max", row.max}};
  }
  if (!row.values.empty()) {
    Json values = Json::array();
    for (const std::string_view v : row.values) values.push_back(v);
    return Json{{"values", values}};
  }
  if (row.type == Type::kList) return Json{{"max_entries", row.max}};
  if (row.type == Type::kPassword) {
    return Json{{"min_length", row.min}, {"max_length", row.max_length}};
  }
  return Json{{"max_length", row.max_length}};
}

Json texts(std::span<const std::string_view> items) {
  Json out = Json::array();
  for (const std::string_view item : items) out.push_back(item);
  return out;
}

}  // namespace

std::string_view name_of(Layer layer) { return kLayerNames[index(layer)]; }

std::optional<Layer> parse_layer(std::string_view name) {
  const auto* found = std::find(std::begin(kLayerNames), std::end(kLayerNames), name);
  if (found == std::end(kLayerNames)) return std::nullopt;
  return static_cast<Layer>(found - std::begin(kLayerNames));
}

Registry::Registry(std::unique_ptr<Store> store)
    : store_(std::move(store)), entries_(kKeyCount), unknown_(Json::object()) {}

const Value& Registry::effective(const Entry& entry, const SettingRow& row, Layer* from) const {
  const Value* best = &default_value(row);
  Layer layer = Layer::kFactory;
  for (std::size_t l = 0; l < kLayerCount; ++l) {
    if (entry.values[l]) {
      best = &*entry.values[l];
      layer = static_cast<Layer>(l);
    }
    if (entry.locks[l]) break;
  }
  if (from != nullptr) *from = layer;
  return *best;
}

std::string Registry::load() {
  if (!store_) return {};
  Store::Loaded loaded = store_->load();
  std::string note = loaded.note;
  const auto add = [&note](const std::string& text) {
    if (!note.empty()) note += "; ";
    note += text;
  };
  if (loaded.source == Store::Source::kLastGood) add("the last good copy is in use");
  if (loaded.source == Store::Source::kNone) {
    if (!note.empty()) add("factory values are in use");
    return note;
  }
  const Json root = Json::parse(loaded.content, nullptr, false);
  if (!root.is_object()) {
    add("the settings are no JSON object; factory values are in use");
    return note;
  }
  std::vector<Entry> entries(kKeyCount);
  Json unknown = Json::object();
  const auto each = [&](const char* part, auto&& take) {
    const auto layers = root.find(part);
    if (layers == root.end() || !layers->is_object()) return;
    for (const auto& [layer_name, items] : layers->items()) {
      const auto layer = parse_layer(layer_name);
      if (layer && items.is_object()) {
        for (const auto& [name, value] : items.items()) take(*layer, name, value);
      }
    }
  };
  each("values", [&](Layer layer, const std::string& name, const Json& json) {
    const SettingRow* row = find_setting(name);
    if (row == nullptr) {
      unknown["values"][std::string(name_of(layer))][name] = json;
      return;
    }
    if (auto value = parse_value(*row, json)) {
      entries[index(row->key)].values[index(layer)] = std::move(*value);
    } else {
      add(value.error().message + "; the weaker layer's value is in use");
    }
  });
  each("locks", [&](Layer layer, const std::string& name, const Json& json) {
    if (const SettingRow* row = find_setting(name)) {
      entries[index(row->key)].locks[index(layer)] = json.is_boolean() && json.get<bool>();
    }
  });
  const std::lock_guard lock(mutex_);
  entries_ = std::move(entries);
  unknown_ = std::move(unknown);
  return note;
}

std::string Registry::serialize(const std::vector<Entry>& entries) const {
  Json root = unknown_;
  root["version"] = 1;
  for (const SettingRow& row : settings_catalogue()) {
    const Entry& entry = entries[index(row.key)];
    for (std::size_t l = 0; l < kLayerCount; ++l) {
      const std::string layer(kLayerNames[l]);
      if (entry.values[l]) root["values"][layer][std::string(row.name)] = to_json(*entry.values[l]);
      if (entry.locks[l]) root["locks"][layer][std::string(row.name)] = true;
    }
  }
  return root.dump(1) + "\n";
}

Value Registry::get(Key key) const {
  const std::lock_guard lock(mutex_);
  return effective(entries_[index(key)], row_of(key));
}

Layer Registry::layer_of(Key key) const {
  const std::lock_guard lock(mutex_);
  Layer layer{};
  effective(entries_[index(key)], row_of(key), &layer);
  return layer;
}

std::optional<Layer> Registry::locked_by(Key key) const {
  const std::lock_guard lock(mutex_);
  const auto& locks = entries_[index(key)].locks;
  const auto found = std::find(locks.begin(), locks.end(), true);
  if (found == locks.end()) return std::nullopt;
  return static_cast<Layer>(found - locks.begin());
}

bool Registry::locked_for(Key key, Layer layer) const {
  const auto by = locked_by(key);
  return by && *by < layer;
}

Status Registry::commit(std::vector<Entry> staged, std::vector<Key>* changed) {
  if (store_) CONCLAVE_CHECK_STATUS(store_->save(serialize(staged)));
  const std::lock_guard lock(mutex_);
  for (const SettingRow& row : settings_catalogue()) {
    const std::size_t i = index(row.key);
    if (effective(entries_[i], row) != effective(staged[i], row)) changed->push_back(row.key);
  }
  entries_ = std::move(staged);
  return {};
}

void Registry::tell(std::span<const Key> changed) {
  if (changed.empty()) return;
  std::vector<Observer> observers;
  {
    const std::lock_guard lock(mutex_);
    observers = observers_;
  }
  for (const Observer& observer : observers) observer(changed);
}

Registry::Outcome Registry::apply(Layer layer, const Request& request) {
  Outcome outcome;
  {
    const std::lock_guard writing(writing_);
    std::vector<Entry> staged;
    std::vector<Check> checks;
    {
      const std::lock_guard lock(mutex_);
      staged = entries_;
      checks = checks_;
    }
    for (const auto& [name, json] : request) {
      const SettingRow* row = find_setting(name);
      if (row == nullptr) {
        outcome.errors[name] = "there is no setting of this name";
        continue;
      }
      Entry& entry = staged[index(row->key)];
      const auto lock = std::find(entry.locks.begin(), entry.locks.end(), true);
      const auto lock_layer = static_cast<Layer>(lock - entry.locks.begin());
      if (row->kind != Kind::kSetting) {
        outcome.errors[name] = std::string(row->title) +
                               (row->kind == Kind::kState ? " can only be read"
                                                          : " comes with a call and is not kept");
      } else if (layer == Layer::kFactory) {
        outcome.errors[name] = "factory values cannot be changed";
      } else if (lock != entry.locks.end() && lock_layer < layer) {
        outcome.errors[name] =
            std::string(row->title) + " is locked by the layer " + std::string(name_of(lock_layer));
      } else if (json.is_null()) {
        entry.values[index(layer)].reset();
      } else if (row->type == Type::kPassword && layer != Layer::kLocal && json.is_string() &&
                 looks_hashed(json.get_ref<const std::string&>())) {
        entry.values[index(layer)] = json.get<std::string>();  // provisioning may bring the hash
      } else if (auto value = parse_value(*row, json); !value) {
        outcome.errors[name] = value.error().message;
      } else if (row->type == Type::kPassword) {
        auto hash = hash_password(std::get<std::string>(*value));
        if (hash) {
          entry.values[index(layer)] = std::move(*hash);
        } else {
          outcome.errors[name] = hash.error().message;
        }
      } else {
        entry.values[index(layer)] = std::move(*value);
      }
    }
    if (outcome.ok()) {
      const Getter getter = [&](Key key) -> const Value& {
        return effective(staged[index(key)], row_of(key));
      };
      for (const Check& check : checks) outcome.errors.merge(check(getter));
    }
    if (!outcome.ok()) return outcome;
    if (const Status kept = commit(std::move(staged), &outcome.changed); !kept) {
      outcome.changed.clear();
      for (const auto& [name, json] : request) outcome.errors[name] = kept.error().message;
      return outcome;
    }
  }
  for (const Key key : outcome.changed) {
    const SettingRow& row = row_of(key);
    outcome.restart = std::max(outcome.restart, row.restart);
    log::info(
        "settings", "changed",
        {{"name", row.name},
         {"value", row.secret || row.type == Type::kPassword ? "(secret)" : to_text(get(key))},
         {"layer", name_of(layer)}});
  }
  tell(outcome.changed);
  return outcome;
}

Status Registry::lock(Layer layer, Key key, bool locked) {
  std::vector<Key> changed;
  {
    const std::lock_guard writing(writing_);
    std::vector<Entry> staged;
    {
      const std::lock_guard lock(mutex_);
      staged = entries_;
    }
    staged[index(key)].locks[index(layer)] = locked;
    CONCLAVE_CHECK_STATUS(commit(std::move(staged), &changed));
  }
  tell(changed);
  return {};
}

Status Registry::set_state(Key key, Value value) {
  std::vector<Key> changed;
  {
    const std::lock_guard writing(writing_);
    std::vector<Entry> staged;
    {
      const std::lock_guard lock(mutex_);
      staged = entries_;
    }
    auto& slot = staged[index(key)].values[index(Layer::kDevice)];
    if (slot == value) return {};
    slot = std::move(value);
    CONCLAVE_CHECK_STATUS(commit(std::move(staged), &changed));
  }
  tell(changed);
  return {};
}

void Registry::observe(Observer observer) {
  const std::lock_guard lock(mutex_);
  observers_.push_back(std::move(observer));
}

void Registry::add_check(Check check) {
  const std::lock_guard lock(mutex_);
  checks_.push_back(std::move(check));
}

nlohmann::json Registry::list() const {
  Json rows = Json::array();
  const std::lock_guard guard(mutex_);
  for (const SettingRow& row : settings_catalogue()) {
    const Entry& entry = entries_[index(row.key)];
    Layer layer{};
    const Value& value = effective(entry, row, &layer);
    const bool hidden = row.secret || row.type == Type::kPassword;
    Json item{{"name", row.name},
              {"title", row.title},
              {"type", name_of(row.type)},
              {"kind", name_of(row.kind)},
              {"layer", name_of(layer)},
              {"unit", row.unit},
              {"range", range_of(row)},
              {"secret", hidden},
              {"group", row.group},
              {"place", row.place},
              {"help", row.help},
              {"restart", name_of(row.restart)},
              {"aliases", texts(row.aliases)},
              {"guide", texts(row.guide)}};
    if (!row.note.empty()) item["note"] = row.note;
    item["locked"] = std::any_of(entry.locks.begin(), entry.locks.begin() + index(Layer::kLocal),
                                 [](bool locked) { return locked; });
    if (hidden) {
      const auto* text = std::get_if<std::string>(&value);
      item["value"] = "";
      item["default"] = "";
      item["set"] = layer != Layer::kFactory && text != nullptr && !text->empty();
    } else {
      item["value"] = to_json(value);
      item["default"] = to_json(default_value(row));
    }
    rows.push_back(std::move(item));
  }
  return rows;
}

nlohmann::json Registry::export_values() const {
  Json values = Json::object();
  const std::lock_guard guard(mutex_);
  for (const SettingRow& row : settings_catalogue()) {
    if (row.kind != Kind::kSetting || row.secret || row.type == Type::kPassword) continue;
    Layer layer{};
    const Value& value = effective(entries_[index(row.key)], row, &layer);
    if (layer != Layer::kFactory) values[std::string(row.name)] = to_json(value);
  }
  return values;
}

}  // namespace conclave::control
