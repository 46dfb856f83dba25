// SPDX-License-Identifier: Apache-2.0
#include "bench/room/room_control.h"

#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace conclave::bench::room {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

std::optional<double> number(const std::string& word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

json refused(const std::string& why) { return {{"ok", false}, {"error", why}}; }

json stream_state(const CardStream* stream) {
  if (stream == nullptr) return {{"open", false}};
  return {{"open", true}, {"running", stream->running()}, {"underruns", stream->underruns()}};
}

json status(RoomEngine& engine) {
  const auto load = engine.load();
  const auto guard = engine.lock();
  const Simulator& simulator = engine.simulator();
  json cards = json::object();
  for (const RoomCard& card : engine.cards()) {
    json entry = {{"plugged", card.plugged},
                  {"ppm", card.ppm},
                  {"stalled", card.stalled_until_ns > SystemClock::now()},
                  {"capture", stream_state(card.capture.get())}};
    if (card.playback_channels > 0) entry["playback"] = stream_state(card.playback.get());
    cards[card.name] = std::move(entry);
  }
  json talkers = json::array();
  const auto& all = simulator.scene().talkers;
  for (std::size_t t = 0; t < all.size(); ++t) {
    const Point p = all[t].position;
    talkers.push_back({{"id", all[t].id},
                       {"on", simulator.talker_on(static_cast<int>(t))},
                       {"position", {p.x, p.y, p.z}},
                       {"azimuth_deg", azimuth_deg(p)}});
  }
  return {{"ok", true},
          {"seconds", static_cast<double>(simulator.position()) / simulator.scene().sample_rate},
          {"virtual_time", engine.virtual_time()},
          {"noise_dbfs", simulator.fan_dbfs()},
          {"cards", std::move(cards)},
          {"talkers", std::move(talkers)},
          {"load",
           {{"blocks", load.blocks},
            {"late_blocks", load.late},
            {"core_percent", load.core_percent},
            {"block_us_mean", load.block_us_mean},
            {"block_us_max", load.block_us_max},
            {"wake_us_p50", load.wake_us_p50},
            {"wake_us_p99", load.wake_us_p99},
            {"wake_us_max", load.wake_us_max}}}};
}

int talker_index(const Simulator& simulator, const std::string& id) {
  const auto& all = simulator.scene().talkers;
  for (std::size_t t = 0; t < all.size(); ++t) {
    if (all[t].id == id) return static_cast<int>(t);
  }
  return -1;
}

/// unplug, plug, stall, xrun, ppm: everything that begins with a card.
json card_verb(RoomEngine& engine, const Words& words) {
  const std::string& verb = words[0];
  const bool with_value = verb == "stall" || verb == "ppm";
  if (words.size() != (with_value ? 3U : 2U))
    return refused(verb + ": needs a card" + (with_value ? " and a number" : ""));
  const auto value = with_value ? number(words[2]) : 0.0;
  if (!value) return refused(verb + ": \"" + words[2] + "\" is not a number");
  const auto guard = engine.lock();
  RoomCard* card = engine.card(words[1]);
  if (card == nullptr) return refused("no card \"" + words[1] + "\"; there are ring, sat1, ...");
  if (verb == "plug") {
    card->plugged = true;
  } else if (verb == "unplug") {
    card->plugged = false;
    for (CardStream* stream : {card->capture.get(), card->playback.get()}) {
      if (stream != nullptr) stream->unplug();
    }
  } else if (verb == "xrun") {
    for (CardStream* stream : {card->capture.get(), card->playback.get()}) {
      if (stream != nullptr) stream->break_stream();
    }
  } else if (verb == "stall") {
    if (*value < 0 || *value > 60'000) return refused("stall: 0 to 60000 ms");
    card->stalled_until_ns = SystemClock::now() + static_cast<std::int64_t>(*value * 1e6);
  } else {
    if (std::abs(*value) > 1000) return refused("ppm: within +-1000");
    engine.set_ppm(*card, *value);
  }
  return {{"ok", true}};
}

json move(RoomEngine& engine, const Words& words) {
  if (words.size() != 5) return refused("move: needs a talker and x y z in metres from the ring");
  const auto x = number(words[2]);
  const auto y = number(words[3]);
  const auto z = number(words[4]);
  if (!x || !y || !z) return refused("move: x y z are numbers");
  // Talkers are never added or taken away, so looking needs no lock; nor does the long computation.
  const int talker = talker_index(engine.simulator(), words[1]);
  if (talker < 0) return refused("no talker \"" + words[1] + "\"");
  auto placement = engine.simulator().prepare_placement(talker, {*x, *y, *z});
  if (!placement) return refused(placement.error().message);
  Simulator::PlacementPtr old;
  {
    const auto guard = engine.lock();
    old = engine.simulator().place_talker(std::move(*placement));
  }
  return {{"ok", true}, {"azimuth_deg", azimuth_deg({*x, *y, *z})}};
}

json talker(RoomEngine& engine, const Words& words) {
  if (words.size() == 6 && words[2] == "move")
    return move(engine, {"move", words[1], words[3], words[4], words[5]});
  if (words.size() != 3 || (words[2] != "on" && words[2] != "off"))
    return refused("talker: needs an id and on or off");
  const auto guard = engine.lock();
  const int index = talker_index(engine.simulator(), words[1]);
  if (index < 0) return refused("no talker \"" + words[1] + "\"");
  engine.simulator().set_talker_on(index, words[2] == "on");
  return {{"ok", true}};
}

json noise(RoomEngine& engine, const Words& words) {
  const auto level = words.size() == 2 ? number(words[1]) : std::nullopt;
  if (!level || *level > 0) return refused("noise: needs a level in dBFS, 0 or less");
  const auto guard = engine.lock();
  engine.simulator().set_fan_dbfs(*level);
  return {{"ok", true}};
}

}  // namespace

std::string RoomControl::answer(const std::string& line) {
  std::istringstream stream(line);
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  json result;
  if (words.empty()) {
    result = refused("an empty command");
  } else if (words[0] == "status") {
    result = status(engine_);
  } else if (words[0] == "quit") {
    quit_ = true;
    result = {{"ok", true}};
  } else {
    using Verb = json (*)(RoomEngine&, const Words&);
    static const std::map<std::string, Verb> kVerbs{
        {"unplug", card_verb}, {"plug", card_verb}, {"stall", card_verb}, {"xrun", card_verb},
        {"ppm", card_verb},    {"move", move},      {"talker", talker},   {"noise", noise}};
    const auto verb = kVerbs.find(words[0]);
    result = verb != kVerbs.end()
                 ? verb->second(engine_, words)
                 : refused("unknown command \"" + words[0] +
                           "\"; known: status unplug plug stall xrun ppm noise talker move quit");
  }
  return result.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace conclave::bench::room
