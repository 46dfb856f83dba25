// SPDX-License-Identifier: Apache-2.0
// The methods that every door of the phone offers, and its reports.
#include <chrono>
#include <cmath>

#include "base/realtime.h"
#include "control/access/password.h"
#include "control/errors/catalogue.h"
#include "control/loop/wall_clock.h"
#include "control/phone/phone.h"
#include "control/provisioning/config_applier.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;
using Param = RpcParam;

RpcFailure failure_of_outcome(const Registry::Outcome& outcome) {
  Json data = Json::object();
  std::string message;
  for (const auto& [name, text] : outcome.errors) {
    data[name] = text;
    if (message.empty()) message = text;
  }
  return {kRpcFailed, message, std::move(data)};
}

Json json_of(const Registry::Outcome& outcome) {
  Json applied = Json::array();
  for (const Key key : outcome.changed) applied.push_back(row_of(key).name);
  return {{"applied", std::move(applied)}, {"restart", name_of(outcome.restart)}};
}

}  // namespace

void Phone::add_call_methods() {
  dispatcher_.add(
      "call.join",
      {{"passcode", Param::Type::kString, true}, {"email", Param::Type::kString, false}},
      "Joins a conference; the state tells how it goes.",
      [this](const Json& params, const RpcCaller&) -> RpcResult {
        const Json email = params.value("email", Json(""));
        const Status begun = conference_->join(params["passcode"].get<std::string>(),
                                               email.is_string() ? email.get<std::string>() : "");
        if (!begun) return rpc_failure(begun.error(), language());
        return Json{{"state", name_of(conference_->state())}};
      });
  dispatcher_.add("call.leave", {}, "Leaves the conference, or stops trying.",
                  [this](const Json&, const RpcCaller&) -> RpcResult {
                    conference_->leave();
                    return Json{{"state", name_of(conference_->state())}};
                  });
  dispatcher_.add("call.mute", {{"muted", Param::Type::kBool, true}},
                  "Mutes or opens the microphones.",
                  [this](const Json& params, const RpcCaller&) -> RpcResult {
                    conference_->set_muted(params["muted"].get<bool>());
                    return Json{{"muted", conference_->muted()}};
                  });
  dispatcher_.add("audio.set_volume", {{"db", Param::Type::kNumber, true}},
                  "Sets the speaker volume in whole dB and keeps it.",
                  [this](const Json& params, const RpcCaller&) -> RpcResult {
                    const double db = params["db"].get<double>();
                    if (!std::isfinite(db) || std::abs(db) > 1000) {
                      return RpcFailure{kRpcInvalidParams, "db is out of range", nullptr};
                    }
                    const auto outcome = settings_->apply(
                        Layer::kLocal, {{"Audio.Speaker.Volume", std::lround(db)}});
                    if (!outcome.ok()) return failure_of_outcome(outcome);
                    return Json{{"db", settings_->get_int(Key::kAudioSpeakerVolume)}};
                  });
}

void Phone::add_settings_methods() {
  dispatcher_.add("settings.list", {}, "All settings with value, layer and what may be set.",
                  [this](const Json&, const RpcCaller&) -> RpcResult { return settings_->list(); });
  dispatcher_.add("settings.set", {{"values", Param::Type::kObject, true}},
                  "Sets values by name, all or none; null goes back to the layer below.",
                  [this](const Json& params, const RpcCaller& caller) -> RpcResult {
                    Registry::Request request;
                    for (const auto& [name, value] : params["values"].items())
                      request[name] = value;
                    const auto outcome = settings_->apply(Layer::kLocal, request);
                    if (!outcome.ok()) return failure_of_outcome(outcome);
                    close_other_sessions(outcome.changed, caller);
                    return json_of(outcome);
                  });
  dispatcher_.add("settings.export", {}, "Values that differ from the factory, without secrets.",
                  [this](const Json&, const RpcCaller&) -> RpcResult {
                    return Json{{"values", settings_->export_values()}};
                  });
  dispatcher_.add("settings.export_file", {},
                  "All layers' values as a configuration file, without secrets.",
                  [this](const Json&, const RpcCaller&) -> RpcResult {
                    return Json{{"text", export_configuration(*settings_)}};
                  });
  dispatcher_.add("settings.import_file",
                  {{"text", Param::Type::kString, true},
                   {"name", Param::Type::kString, false},
                   {"includes", Param::Type::kObject, false},
                   {"dry_run", Param::Type::kBool, false}},
                  "Puts a configuration file in force, wholly or not at all; the report tells.",
                  [this](const Json& params, const RpcCaller& caller) -> RpcResult {
                    return import_file(params, caller);
                  });
}

void Phone::close_other_sessions(std::span<const Key> changed, const RpcCaller& caller) {
  // Whoever else is logged in knew the old password.
  for (const Key key : changed) {
    if (key == Key::kAccessAdminPassword || key == Key::kAccessAdminUser) {
      sessions_.close_others(caller.session);
    }
  }
}

RpcResult Phone::import_file(const Json& params, const RpcCaller& caller) {
  const auto text_of = [&](const char* name, const char* fallback) {
    const auto at = params.find(name);
    return at != params.end() && at->is_string() ? at->get<std::string>() : std::string(fallback);
  };
  const auto includes = params.find("includes");
  ConfigApplier::Include include;
  if (includes != params.end() && includes->is_object()) {
    include = [includes](const std::string& name) -> Result<std::string> {
      const auto at = includes->find(name);
      if (at == includes->end() || !at->is_string()) return Error{"was not sent along"};
      return at->get<std::string>();
    };
  }
  const auto dry = params.find("dry_run");
  const ConfigReport report =
      ConfigApplier(*settings_)
          .apply(text_of("text", ""), text_of("name", "configuration"), ConfigSource::kImported,
                 include, dry != params.end() && dry->is_boolean() && dry->get<bool>());
  if (!report.ok()) {
    return RpcFailure{kRpcFailed, to_text(report.problems.front()), to_json(report)};
  }
  close_other_sessions(report.changed, caller);
  return to_json(report);
}

void Phone::add_other_methods() {
  dispatcher_.add(
      "errors.list", {{"language", Param::Type::kString, false}},
      "All error messages with cause and remedy: in the phone's language, or in that of "
      "a BCP 47 tag (en, de, fr, es); others get English.",
      [this](const Json& params, const RpcCaller&) -> RpcResult {
        const auto tag = params.find("language");
        return errors_json(tag != params.end() && tag->is_string()
                               ? parse_language(tag->get_ref<const std::string&>())
                               : language());
      });
  dispatcher_.add("provider.show", {},
                  "Names, addresses, support contacts and firewall requirements of the provider.",
                  [this](const Json&, const RpcCaller&) -> RpcResult { return config_.provider; });
  // A WebSocket answers this itself, with the revision of that client's own messages.
  dispatcher_.add("state.resync", {}, "The whole state.",
                  [this](const Json&, const RpcCaller&) -> RpcResult {
                    const auto now = state_.snapshot();
                    return Json{{"rev", now->revision}, {"state", now->state}};
                  });
  dispatcher_.add("phone.report", {}, "Figures of the call and the engine.",
                  [this](const Json&, const RpcCaller&) -> RpcResult { return report(); });
  dispatcher_.add(
      "rpc.describe", {}, "All methods.",
      [this](const Json&, const RpcCaller&) -> RpcResult { return dispatcher_.describe(); });
  dispatcher_.add("ping", {{"t", Param::Type::kNumber, false}}, "Answers.",
                  [](const Json& params, const RpcCaller&) -> RpcResult {
                    Json answer{{"server_time_ms", wall_ms()}};
                    if (params.contains("t")) answer["t"] = params["t"];
                    return answer;
                  });
}

std::string Phone::prometheus() const {
  std::string out;
  const auto add = [&out](const char* name, const char* type, const char* help, double value,
                          const std::string& labels = {}) {
    const std::string full = std::string("conclave_") + name;
    if (out.find("# TYPE " + full + " ") == std::string::npos) {
      out += "# HELP " + full + " " + help + "\n# TYPE " + full + " " + type + "\n";
    }
    const bool whole = value == std::floor(value) && std::abs(value) < 9e15;
    out += full + labels + " " +
           (whole ? std::to_string(static_cast<long long>(value)) : std::to_string(value)) + "\n";
  };
  const auto& m = audio_->metrics();
  add("engine_blocks_total", "counter", "Blocks of 10 ms processed.", double(m.blocks));
  add("engine_late_total", "counter", "Blocks that took longer than 10 ms.", double(m.late));
  add("engine_xruns_total", "counter", "Times the sound card lost samples.", double(m.xruns));
  add("engine_unplugs_total", "counter", "Times the sound card went away.", double(m.unplugs));
  add("engine_realtime_violations_total", "counter", "Forbidden calls on the audio thread.",
      double(realtime::violations()));
  add("engine_core_percent", "gauge", "CPU of the audio thread.", double(m.core_percent));
  const struct {
    const char* label;
    float value;
  } quantiles[] = {{"0.5", m.cpu.p50_us}, {"0.99", m.cpu.p99_us}, {"0.9999", m.cpu.p9999_us}};
  for (const auto& q : quantiles) {
    add("engine_block_cpu_microseconds", "gauge", "CPU time of a block.", double(q.value),
        std::string("{quantile=\"") + q.label + "\"}");
  }
  add("echo_return_loss_enhancement_db", "gauge", "Echo reduction.", double(m.erle_db));
  for (int i = 0; i < m.mic_count && i < engine::kMaxMics; ++i) {
    add("microphone_rms_dbfs", "gauge", "Level of a microphone.",
        double(m.mic_rms_db[static_cast<std::size_t>(i)]),
        "{microphone=\"" + std::to_string(i) + "\"}");
  }
  const auto s = conference_->stats();
  const bool active = conference_->state() == CallState::kActive;
  add("call_active", "gauge", "1 while in a conference.", active ? 1 : 0);
  add("call_muted", "gauge", "1 while muted.", conference_->muted() ? 1 : 0);
  add("call_rejoins_total", "counter", "Times a lost call was made again.", conference_->rejoins());
  add("call_sent_packets_total", "counter", "RTP packets sent.", double(s.tx_packets));
  add("call_received_packets_total", "counter", "RTP packets received.", double(s.rx_packets));
  add("call_lost_packets_total", "counter", "RTP packets lost.", double(s.rx_lost));
  add("call_concealed_milliseconds_total", "counter", "Sound made up.", double(s.concealed_ms));
  add("call_jitter_milliseconds", "gauge", "Jitter.", s.jitter_ms);
  if (s.rtt_ms >= 0) add("call_round_trip_milliseconds", "gauge", "Round trip.", s.rtt_ms);
  if (s.mos > 0) add("call_mos", "gauge", "Estimated quality, 1 to 4.5.", s.mos);
  return out;
}

Json Phone::report() const {
  const auto& m = audio_->metrics();
  const auto s = conference_->stats();
  const auto one = [](double v) { return std::round(v * 100.0) / 100.0; };
  Json report{{"joined", conference_->seconds_to_join() > 0},
              {"state", name_of(conference_->state())},
              {"seconds_to_join", one(conference_->seconds_to_join())},
              {"seconds", one(conference_->seconds_active())},
              {"rejoins", conference_->rejoins()},
              // What the far end lost of ours is only known as its reports tell it.
              {"uplink",
               {{"packets", s.tx_packets},
                {"lost", std::llround(double(s.tx_packets) * s.remote_loss_percent / 100.0)},
                {"concealed_ms", 0},
                {"overruns", m.uplink_overruns}}},
              {"downlink",
               {{"packets", s.rx_packets},
                {"lost", s.rx_lost},
                {"late", s.rx_late},
                {"concealed_ms", s.concealed_ms},
                {"jitter_ms", one(s.jitter_ms)},
                {"rtt_ms", one(s.rtt_ms)},
                {"delay_ms", one(s.delay_ms)},
                {"underruns", m.downlink_underruns}}},
              {"engine",
               {{"blocks", m.blocks},
                {"late", m.late},
                {"xruns", m.xruns},
                {"cpu_us_per_10ms",
                 {{"p50", one(m.cpu.p50_us)},
                  {"p99", one(m.cpu.p99_us)},
                  {"p9999", one(m.cpu.p9999_us)},
                  {"max", one(m.cpu.max_us)}}},
                {"core_percent", one(m.core_percent)}}},
              {"erle_db", one(m.erle_db)},
              {"violations", realtime::violations()}};
  return report;
}

}  // namespace conclave::control
