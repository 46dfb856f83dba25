// SPDX-License-Identifier: Apache-2.0
// The phone: wires sound cards, engine, calls, settings and web interface.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/conclaved/engine_audio.h"
#include "apps/conclaved/options.h"
#include "apps/conclaved/silent_sound.h"
#include "base/audio_frame.h"
#include "base/log.h"
#include "base/realtime.h"
#include "control/activation/factory_reset.h"
#include "control/door/door_client.h"
#include "control/door/local_door.h"
#include "control/phone/phone.h"
#include "control/phone/wav.h"
#include "control/provider/profile.h"
#include "control/provisioning/config_applier.h"
#include "control/web/certificate.h"
#include "control/web/portal.h"
#include "control/web/server.h"

namespace conclave::apps {
namespace {

namespace fs = std::filesystem;
using control::Key;
using control::Layer;

constexpr std::size_t kRingFrames = 16;

Status make_folder(const std::string& path) {
  std::error_code ec;
  fs::create_directories(path, ec);
  if (ec || ::chmod(path.c_str(), 0700) != 0) {
    return Error{"cannot make the folder " + path + "; give another by --data"};
  }
  return {};
}

/// A file that the integrator or the site put on the machine. Refused as a whole, it leaves the
/// phone as it is: a phone that does not start could not be mended from afar.
void apply_configuration(const std::string& path, control::Registry& settings) {
  const auto text = control::read_config_file(path);
  if (!text) {
    log::warning("provisioning", text.error().message);
    return;
  }
  const control::ConfigReport report = control::ConfigApplier(settings).apply(
      *text, fs::path(path).filename().string(), control::ConfigSource::kProvisioned,
      control::includes_beside(path));
  for (const auto& problem : report.problems) {
    log::warning("provisioning", control::to_text(problem));
  }
  log::info("provisioning", "configuration file",
            {{"file", path}, {"verdict", control::name_of(report.verdict)}});
}

/// The provider's values, and what the surfaces show of it. A profile that cannot be used changes
/// nothing: another provider's addresses would be worse than the last good ones.
nlohmann::json apply_provider(const PhoneOptions& options, control::Registry& settings) {
  const std::string file =
      options.provider.empty() ? settings.get_text(Key::kProviderProfileFile) : options.provider;
  const auto profile = file.empty()
                           ? Result<control::ProviderProfile>(control::built_in_provider_profile())
                           : control::load_provider_profile(file);
  const Status applied =
      profile ? control::apply_provider_profile(*profile, settings) : Status(profile.error());
  if (!applied) {
    log::warning("provider", applied.error().message);
    return {{"problem", applied.error().message}};
  }
  for (const std::string& note : profile->notes) log::info("provider", note);
  return control::to_json(*profile);
}

Status apply_options(const PhoneOptions& options, control::Registry& settings) {
  control::Registry::Request request;
  for (const std::string& item : options.set) {
    const std::size_t equals = item.find('=');
    if (equals == std::string::npos) return Error{"--set takes NAME=VALUE, not " + item};
    request[item.substr(0, equals)] = item.substr(equals + 1);
  }
  if (!options.service_ca.empty()) {
    request["Security.Certificates.ServiceCa"] = fs::absolute(options.service_ca).string();
  }
  if (!options.device_certificate.empty()) {
    request["Security.Certificates.Device"] = fs::absolute(options.device_certificate).string();
  }
  if (request.empty()) return {};
  const auto outcome = settings.apply(Layer::kLocal, request);
  if (outcome.ok()) return {};
  const auto& [name, message] = *outcome.errors.begin();
  return Error{"--set " + name + ": " + message};
}

Result<control::LeaseOptions> read_lease(const std::string& path) {
  CONCLAVE_TRY(const std::string text, control::read_config_file(path));
  auto lease = control::parse_lease_options(control::parse_json(text));
  if (!lease) return Error{"--lease " + path + ": " + lease.error().message};
  return lease;
}

Status write_recordings(const EngineAudio& audio, const std::string& folder,
                        nlohmann::json* report) {
  CONCLAVE_CHECK_STATUS(make_folder(folder));
  const auto recording = audio.recording(30.0);
  const struct {
    const char* name;
    const std::vector<float>& samples;
  } files[] = {{"raw_mic", recording.raw}, {"sent", recording.sent}, {"played", recording.played}};
  for (const auto& file : files) {
    const std::string path = folder + "/" + file.name + ".wav";
    std::ofstream(path, std::ios::binary) << control::wav_file(
        file.samples, recording.sample_rate > 0 ? recording.sample_rate : 48000);
    (*report)["recordings"][file.name] = {{"file", fs::absolute(path).string()},
                                          {"start_ns", recording.start_ns}};
  }
  return {};
}

Result<std::unique_ptr<EngineAudio>> open_sound(const PhoneOptions& options,
                                                const control::Registry& settings,
                                                AudioFrameRing& uplink, AudioFrameRing& downlink) {
  SoundConfig sound;
  sound.ring = options.ring.empty() ? settings.get_text(Key::kAudioDeviceRing) : options.ring;
  if (sound.ring.empty()) return std::unique_ptr<EngineAudio>();
  sound.satellites = options.satellites.empty() ? settings.get_list(Key::kAudioDeviceSatellites)
                                                : options.satellites;
  sound.profile =
      options.profile.empty() ? settings.get_text(Key::kAudioDeviceProfile) : options.profile;
  sound.sample_rate = std::stoi(settings.get_text(Key::kAudioDeviceSampleRate));
  sound.echo_tail_ms = static_cast<float>(settings.get_int(Key::kAudioEchoCancellerTail));
  return EngineAudio::create(sound, uplink, downlink);
}

Result<std::unique_ptr<control::web::Server>> open_web(const PhoneOptions& options,
                                                       control::Phone& phone,
                                                       control::web::Portal& portal) {
  auto& settings = phone.settings();
  control::web::ServerConfig config;
  config.address =
      options.listen.empty() ? settings.get_text(Key::kWebListenAddress) : options.listen;
  config.port =
      options.port >= 0 ? options.port : static_cast<int>(settings.get_int(Key::kWebListenPort));
  config.names = settings.get_list(Key::kWebListenNames);
  std::vector<std::string> names = config.names;
  names.push_back(config.address);
  CONCLAVE_TRY(const auto files, control::web::ensure_certificate(options.data, names));
  config.certificate_file = files.certificate;
  config.key_file = files.key;
  return control::web::Server::create(config, phone.state(), portal, portal);
}

void wait_for_end(const sigset_t& signals) {
  int received = 0;
  while (sigwait(&signals, &received) != 0) {
  }
  log::info("phone", "ending", {{"signal", received}});
}

/// `start_anew` is set when the phone is to be started once more after its end.
Status run(const PhoneOptions& options, std::atomic<bool>& start_anew) {
  // Blocked before any thread starts, so that only wait_for_end sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  realtime::on_violation(realtime::OnViolation::kCount);

  CONCLAVE_CHECK_STATUS(make_folder(options.data));
  CONCLAVE_TRY([[maybe_unused]] const bool reset, control::finish_factory_reset(options.data));
  control::Registry settings(std::make_unique<control::Store>(options.data + "/settings.conclave"));
  if (const std::string note = settings.load(); !note.empty()) {
    log::warning("settings", note);
  }
  nlohmann::json provider = apply_provider(options, settings);
  if (!options.configuration.empty()) apply_configuration(options.configuration, settings);
  CONCLAVE_CHECK_STATUS(apply_options(options, settings));

  AudioFrameRing uplink(kRingFrames);
  AudioFrameRing downlink(kRingFrames);
  CONCLAVE_TRY(std::unique_ptr<EngineAudio> audio, open_sound(options, settings, uplink, downlink));
  std::unique_ptr<SilentSound> silence;
  if (!audio) {
    silence = std::make_unique<SilentSound>(
        uplink, downlink, std::stoi(settings.get_text(Key::kAudioDeviceSampleRate)));
  }

  control::PhoneConfig config;
  config.data_folder = options.data;
  config.version = CONCLAVE_VERSION;
  config.sample_rate = std::stoi(settings.get_text(Key::kAudioDeviceSampleRate));
  config.provider = std::move(provider);
  config.provisioning = true;
  if (audio) config.inventory = audio->inventory();
  control::Phone::Parts parts;
  parts.settings = &settings;
  parts.audio = audio.get();
  parts.uplink = &uplink;
  parts.downlink = &downlink;
  parts.restart = [&start_anew] {
    start_anew = true;
    ::kill(::getpid(), SIGTERM);
  };
  control::Phone phone(config, std::move(parts));
  if (audio) CONCLAVE_CHECK_STATUS(audio->start());
  const std::string directions = options.data + "/directions.csv";
  if (audio && !options.report.empty() && !audio->log_directions(directions)) {
    return Error{"cannot write " + directions + "; make room or give another --data"};
  }

  CONCLAVE_TRY(const auto door,
               control::LocalDoor::open(control::local_door_path(options.data), phone));
  control::web::Portal portal(phone, control::web::StaticFiles::load(options.ui));
  std::unique_ptr<control::web::Server> web;
  // Its loop holds on to the server and the portal: it ends first, whichever way this returns.
  const std::unique_ptr<control::Phone, void (*)(control::Phone*)> stop_first(
      &phone, [](control::Phone* p) { p->stop(std::chrono::milliseconds(0)); });
  std::string url;
  if (settings.get_bool(Key::kNetworkServicesWebEnabled)) {
    CONCLAVE_TRY(web, open_web(options, phone, portal));
    phone.set_meter_sink(
        [server = web.get()](std::string frame) { server->publish_meters(std::move(frame)); });
    std::string host =
        options.listen.empty() ? settings.get_text(Key::kWebListenAddress) : options.listen;
    if (host == "0.0.0.0" || host == "::") host = "localhost";
    if (host.find(':') != std::string::npos) host = "[" + host + "]";
    url = "https://" + host + ":" + std::to_string(web->port()) + "/";
  }
  if (!options.lease.empty()) {
    CONCLAVE_TRY(control::LeaseOptions lease, read_lease(options.lease));
    phone.set_lease(std::move(lease));
  }
  phone.start();
  if (!options.join.empty()) {
    Status begun;
    phone.loop().run(
        [&] { begun = phone.conference().join_and_stay(options.join, options.email); });
    if (!begun) return begun;
  }

  const nlohmann::json ready{
      {"ready", true}, {"url", url}, {"user", settings.get_text(Key::kAccessAdminUser)}};
  std::printf("%s\n", ready.dump().c_str());
  std::fflush(stdout);
  wait_for_end(signals);

  nlohmann::json report;
  phone.loop().run([&] { report = phone.report(); });
  phone.stop();
  web.reset();
  if (audio) audio->stop();
  if (!options.report.empty() && !start_anew) {
    if (audio) {
      CONCLAVE_CHECK_STATUS(write_recordings(*audio, options.data + "/recordings", &report));
      report["directions"] = fs::absolute(directions).string();
    }
    std::ofstream out(options.report);
    out << report.dump(1) << "\n";
    if (!out.flush()) return Error{"cannot write the report " + options.report};
  }
  return {};
}

}  // namespace
}  // namespace conclave::apps

int main(int argc, char** argv) {
  conclave::apps::PhoneOptions options;
  const int parsed = conclave::apps::parse_options(argc, argv, &options);
  if (parsed >= 0) return parsed;
  try {
    std::atomic<bool> start_anew{false};
    const auto status = conclave::apps::run(options, start_anew);
    if (status && start_anew) {
      // The same process with the same command line: whoever supervises it need not know.
      ::execv("/proc/self/exe", argv);
      std::fprintf(stderr, "conclaved: cannot start anew; start it again by hand\n");
      return 1;
    }
    if (status) return 0;
    std::fprintf(stderr, "conclaved: %s\n", status.error().message.c_str());
  } catch (const std::exception& unforeseen) {
    std::fprintf(stderr, "conclaved: %s; please report this\n", unforeseen.what());
  }
  return 1;
}
