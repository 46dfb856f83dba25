// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/settings/catalogue.h"
#include "control/settings/store.h"
#include "control/settings/value.h"

namespace conclave::control {

/// Where a value comes from, weakest first.
enum class Layer { kFactory, kProvider, kSite, kDevice, kLocal };
inline constexpr int kLayerCount = 5;
std::string_view name_of(Layer layer);
std::optional<Layer> parse_layer(std::string_view name);

/// The one place settings are read from and written to: typed, validated, layered, kept.
/// Reading: any thread but a real-time one. apply() and lock(): one thread at a time by a mutex;
/// observers run on the caller's thread after the change is in force.
class Registry {
 public:
  /// Names or aliases with new values; null takes the layer's value away.
  using Request = std::map<std::string, nlohmann::json>;
  struct Outcome {
    std::vector<Key> changed;                   ///< settings whose value in force changed
    std::map<std::string, std::string> errors;  ///< name -> message; then nothing was changed
    Restart restart = Restart::kNone;           ///< the most that `changed` needs
    bool ok() const { return errors.empty(); }
  };
  /// What a configuration says about one layer.
  struct LayerChange {
    Layer layer = Layer::kSite;
    Request values;
    /// Names that this layer locks from now on; of the others named in `values` the lock goes.
    std::set<std::string> locks{};
    bool replace =
        false;  ///< settings that `values` does not name lose this layer's value and lock
    bool keep_locks = false;  ///< no lock comes or goes; a setting may be named by several names
  };
  using Observer = std::function<void(std::span<const Key>)>;
  /// Looks at values as they would be (by `get`) and says what does not fit together.
  using Getter = std::function<const Value&(Key)>;
  using Check = std::function<std::map<std::string, std::string>(const Getter&)>;

  /// Without a store nothing is kept (tests, tools).
  explicit Registry(std::unique_ptr<Store> store = nullptr);

  /// Reads the store. Returns a note when something in it could not be used; never fails.
  std::string load();

  Value get(Key key) const;
  bool get_bool(Key key) const { return std::get<bool>(get(key)); }
  std::int64_t get_int(Key key) const { return std::get<std::int64_t>(get(key)); }
  std::string get_text(Key key) const { return std::get<std::string>(get(key)); }
  std::vector<std::string> get_list(Key key) const {
    return std::get<std::vector<std::string>>(get(key));
  }
  Layer layer_of(Key key) const;
  /// The weakest layer that locks the key, if any.
  std::optional<Layer> locked_by(Key key) const;
  /// True when `layer` may not change the key because a weaker one has locked it.
  bool locked_for(Key key, Layer layer) const;

  /// All or nothing: validate each value and all together, write the store, put in force, tell the
  /// observers. State and per-call rows are refused.
  Outcome apply(Layer layer, const Request& request);
  /// The same for several layers and their locks at once.
  Outcome apply(std::span<const LayerChange> changes);
  /// What apply() would say, without doing it.
  Outcome check(std::span<const LayerChange> changes) const;
  /// Locks or unlocks a key at a layer; stronger layers' values stop counting while locked.
  Status lock(Layer layer, Key key, bool locked);
  /// For the component that owns a read-only row (serial number, activation state).
  Status set_state(Key key, Value value);

  /// The observer is told as long as what is returned here lives. Nothing may be applied while the
  /// last copy of it goes.
  [[nodiscard]] std::shared_ptr<void> observe(Observer observer);
  void add_check(Check check);

  /// Rows for people: name, title, type, value, layer, locked, default, unit, range, secret, group,
  /// help ... A secret's value is only told as set or not.
  nlohmann::json list() const;
  /// Values that differ from the factory, without secrets: for export.
  nlohmann::json export_values() const;
  /// The same by layer and with locks, so that a phone can be made again: without secrets.
  std::vector<LayerChange> export_layers() const;

 private:
  struct Entry {
    std::array<std::optional<Value>, kLayerCount> values;
    std::array<bool, kLayerCount> locks{};
  };
  /// Puts one value into `staged`; says why not.
  static std::optional<std::string> stage(Layer layer, const SettingRow& row,
                                          const nlohmann::json& json, Entry& staged);
  void stage(const LayerChange& change, std::vector<Entry>& staged, Outcome& outcome) const;
  void check_together(const std::vector<Entry>& staged, Outcome& outcome) const;
  Outcome finish(std::vector<Entry> staged, std::span<const LayerChange> changes, Outcome outcome);
  const Value& effective(const Entry& entry, const SettingRow& row, Layer* from = nullptr) const;
  std::string serialize(const std::vector<Entry>& entries) const;
  Status commit(std::vector<Entry> staged, std::vector<Key>* changed);
  void announce(Outcome& outcome);
  void tell(std::span<const Key> changed);

  std::unique_ptr<Store> store_;
  mutable std::mutex mutex_;
  std::mutex writing_;  // one apply at a time, without holding up readers during the fsync
  std::vector<Entry> entries_;
  nlohmann::json unknown_;  // of other versions: kept, so that going back loses nothing
  std::vector<std::weak_ptr<Observer>> observers_;
  std::vector<Check> checks_;
};

}  // namespace conclave::control
