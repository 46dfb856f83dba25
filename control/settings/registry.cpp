// SPDX-License-Identifier: Apache-2.0
#include "control/settings/registry.h"

#include <algorithm>

#include "base/log.h"
#include "control/access/password.h"
#include "control/provider/words.h"

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
  std::vector<std::shared_ptr<Observer>> observers;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(observers_, [](const auto& observer) { return observer.expired(); });
    for (const auto& observer : observers_) observers.push_back(observer.lock());
  }
  for (const auto& observer : observers) {
    if (observer) (*observer)(changed);
  }
}

std::optional<std::string> Registry::stage(Layer layer, const SettingRow& row, const Json& json,
                                           Entry& staged) {
  auto& slot = staged.values[index(layer)];
  const auto lock = std::find(staged.locks.begin(), staged.locks.end(), true);
  const auto lock_layer = static_cast<Layer>(lock - staged.locks.begin());
  if (row.kind != Kind::kSetting) {
    return std::string(row.title) +
           (row.kind == Kind::kState ? " can only be read" : " comes with a call and is not kept");
  }
  if (layer == Layer::kFactory) return "factory values cannot be changed";
  if (lock != staged.locks.end() && lock_layer < layer) {
    return std::string(row.title) + " is locked by the layer " + std::string(name_of(lock_layer));
  }
  if (json.is_null()) {
    slot.reset();
    return std::nullopt;
  }
  if (row.type == Type::kPassword && layer != Layer::kLocal && json.is_string() &&
      looks_hashed(json.get_ref<const std::string&>())) {
    slot = json.get<std::string>();  // provisioning may bring the hash
    return std::nullopt;
  }
  auto value = parse_value(row, json);
  if (!value) return value.error().message;
  if (row.type == Type::kPassword) {
    // A file that comes again and again should not make another hash of the same password.
    const auto* before = slot ? std::get_if<std::string>(&*slot) : nullptr;
    const auto& password = std::get<std::string>(*value);
    if (before != nullptr && verify_password(*before, password)) return std::nullopt;
    auto hash = hash_password(password);
    if (!hash) return hash.error().message;
    *value = std::move(*hash);
  }
  slot = std::move(*value);
  return std::nullopt;
}

void Registry::stage(const LayerChange& change, std::vector<Entry>& staged,
                     Outcome& outcome) const {
  std::set<Key> named, locked;
  for (const std::string& name : change.locks) {
    if (const SettingRow* row = find_setting(name)) locked.insert(row->key);
  }
  for (const auto& [name, json] : change.values) {
    const SettingRow* row = find_setting(name);
    if (row == nullptr) {
      outcome.errors[name] = "there is no setting of this name";
      continue;
    }
    if (!named.insert(row->key).second && !change.keep_locks) {
      outcome.errors[name] = "is named twice, once by its alias";
      continue;
    }
    Entry& entry = staged[index(row->key)];
    if (auto why = stage(change.layer, *row, json, entry)) {
      outcome.errors[name] = std::move(*why);
    } else if (!change.keep_locks) {
      entry.locks[index(change.layer)] = locked.contains(row->key);
    }
  }
  if (!change.replace) return;
  for (const SettingRow& row : settings_catalogue()) {
    // What the phone itself keeps in the device's layer is no setting.
    if (row.kind != Kind::kSetting || named.contains(row.key)) continue;
    staged[index(row.key)].values[index(change.layer)].reset();
    staged[index(row.key)].locks[index(change.layer)] = false;
  }
}

void Registry::check_together(const std::vector<Entry>& staged, Outcome& outcome) const {
  std::vector<Check> checks;
  {
    const std::lock_guard lock(mutex_);
    checks = checks_;
  }
  const Getter getter = [&](Key key) -> const Value& {
    return effective(staged[index(key)], row_of(key));
  };
  for (const Check& check : checks) outcome.errors.merge(check(getter));
}

Registry::Outcome Registry::finish(std::vector<Entry> staged, std::span<const LayerChange> changes,
                                   Outcome outcome) {
  if (outcome.ok()) check_together(staged, outcome);
  if (!outcome.ok()) return outcome;
  if (const Status kept = commit(std::move(staged), &outcome.changed); !kept) {
    outcome.changed.clear();
    for (const LayerChange& change : changes) {
      for (const auto& [name, json] : change.values) outcome.errors[name] = kept.error().message;
    }
  }
  return outcome;
}

Registry::Outcome Registry::apply(Layer layer, const Request& request) {
  const LayerChange change{layer, request, {}, false, /*keep_locks=*/true};
  return apply(std::span(&change, 1));
}

Registry::Outcome Registry::apply(std::span<const LayerChange> changes) {
  Outcome outcome;
  {
    const std::lock_guard writing(writing_);
    std::vector<Entry> staged;
    {
      const std::lock_guard lock(mutex_);
      staged = entries_;
    }
    for (const LayerChange& change : changes) stage(change, staged, outcome);
    outcome = finish(std::move(staged), changes, std::move(outcome));
  }
  announce(outcome);
  return outcome;
}

Registry::Outcome Registry::check(std::span<const LayerChange> changes) const {
  Outcome outcome;
  std::vector<Entry> now, staged;
  {
    const std::lock_guard lock(mutex_);
    now = entries_;
  }
  staged = now;
  for (const LayerChange& change : changes) stage(change, staged, outcome);
  if (outcome.ok()) check_together(staged, outcome);
  if (!outcome.ok()) return outcome;
  for (const SettingRow& row : settings_catalogue()) {
    const std::size_t i = index(row.key);
    if (effective(now[i], row) == effective(staged[i], row)) continue;
    outcome.changed.push_back(row.key);
    outcome.restart = std::max(outcome.restart, row.restart);
  }
  return outcome;
}

void Registry::announce(Outcome& outcome) {
  for (const Key key : outcome.changed) {
    const SettingRow& row = row_of(key);
    outcome.restart = std::max(outcome.restart, row.restart);
    log::info(
        "settings", "changed",
        {{"name", row.name},
         {"value", row.secret || row.type == Type::kPassword ? "(secret)" : to_text(get(key))},
         {"layer", name_of(layer_of(key))}});
  }
  tell(outcome.changed);
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

std::shared_ptr<void> Registry::observe(Observer observer) {
  auto kept = std::make_shared<Observer>(std::move(observer));
  const std::lock_guard lock(mutex_);
  observers_.push_back(kept);
  return kept;
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
              {"place", with_provider_words(row.place)},
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

std::vector<Registry::LayerChange> Registry::export_layers() const {
  std::vector<LayerChange> layers;
  const std::lock_guard guard(mutex_);
  for (std::size_t l = index(Layer::kProvider); l < kLayerCount; ++l) {
    LayerChange change{static_cast<Layer>(l), {}, {}, false};
    for (const SettingRow& row : settings_catalogue()) {
      if (row.kind != Kind::kSetting || row.secret || row.type == Type::kPassword) continue;
      const Entry& entry = entries_[index(row.key)];
      // A value that a weaker layer's lock keeps from counting could not be set again.
      const bool shut = std::find(entry.locks.begin(), entry.locks.begin() + static_cast<long>(l),
                                  true) != entry.locks.begin() + static_cast<long>(l);
      if (!entry.values[l] || shut) continue;
      change.values[std::string(row.name)] = to_json(*entry.values[l]);
      if (entry.locks[l]) change.locks.insert(std::string(row.name));
    }
    if (!change.values.empty()) layers.push_back(std::move(change));
  }
  return layers;
}

}  // namespace conclave::control
