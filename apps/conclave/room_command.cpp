// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/room_command.h"

#include <signal.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "apps/conclave/command_result.h"
#include "bench/room/render.h"
#include "bench/room/room_server.h"
#include "bench/room/scene.h"
#include "bench/room/sinc.h"
#include "bench/room/wav.h"

namespace conclave::apps {
namespace {

namespace room = bench::room;

constexpr const char* kPluginFile = "libasound_module_pcm_room.so";

struct RoomOptions {
  std::string scene;
  int rate = 0;
  std::string directory;
  std::string control;
  std::string plugin;
  bool virtual_time = false;
  bool real_time = false;
  bool normal_priority = false;
  double seconds = 30;
  std::string out;
  std::string far;
  bool quiet = false;
};

Result<room::Scene> chosen_scene(const RoomOptions& options) {
  if (options.scene.empty()) return room::default_scene(options.rate == 0 ? 48000 : options.rate);
  CONCLAVE_TRY(auto scene, room::load_scene(options.scene));
  if (options.rate != 0) scene.sample_rate = options.rate;
  return scene;
}

/// Beside the program as built (../lib), or where a package puts it.
std::string find_plugin() {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  for (const fs::path& folder :
       {program.parent_path() / ".." / "lib", program.parent_path() / ".." / "lib" / "conclave",
        program.parent_path()}) {
    if (fs::exists(folder / kPluginFile, error)) return fs::canonical(folder / kPluginFile, error);
  }
  return (program.parent_path() / ".." / "lib" / kPluginFile).lexically_normal();
}

std::atomic<room::RoomServer*> serving{nullptr};

void on_signal(int /*signal*/) {
  if (room::RoomServer* server = serving.load()) server->stop();
}

Status serve(const RoomOptions& options) {
  room::ServerConfig config;
  CONCLAVE_TRY(config.scene, chosen_scene(options));
  config.directory = options.directory;
  config.control_socket = options.control;
  config.plugin = options.plugin.empty() ? find_plugin() : options.plugin;
  config.virtual_time = options.virtual_time;
  config.real_time_priority = !options.normal_priority;
  CONCLAVE_TRY(const auto server, room::RoomServer::create(config));
  serving = server.get();
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // One line for programs that started us; the same as room.json.
  std::printf("%s\n", server->description().c_str());
  std::fflush(stdout);
  Status status = server->run();
  serving = nullptr;
  return status;
}

Status render(const RoomOptions& options) {
  CONCLAVE_TRY(const auto scene, chosen_scene(options));
  FrameBuffer far;
  if (!options.far.empty()) {
    int rate = 0;
    CONCLAVE_TRY(const FrameBuffer file, room::read_wav(options.far, rate));
    const auto samples = room::resample(file[0], rate, scene.sample_rate);
    far = FrameBuffer(1, static_cast<int>(samples.size()));
    std::copy(samples.begin(), samples.end(), far[0].begin());
  }
  CONCLAVE_TRY(const auto rendering, room::render(scene, options.seconds, far));
  CONCLAVE_CHECK_STATUS(room::write_rendering(rendering, scene, options.out));
  if (!options.quiet) {
    std::printf("%s: %d microphones, %.1f s at %d Hz\n", options.out.c_str(),
                rendering.microphones.channels(),
                static_cast<double>(rendering.microphones.frames()) / rendering.sample_rate,
                rendering.sample_rate);
  }
  return {};
}

void add_scene_options(CLI::App& cmd, RoomOptions& options) {
  cmd.add_option("--scene", options.scene, "Scene file (JSON); without it: a meeting room");
  cmd.add_option("--rate", options.rate, "Sample rate, instead of the scene's")
      ->check(CLI::IsMember({48000, 16000}));
  cmd.add_flag("--quiet", options.quiet, "Print nothing but errors");
}

}  // namespace

void add_room_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<RoomOptions>();
  auto* cmd = app.add_subcommand("room", "A simulated room: behind ALSA, or to files");
  cmd->require_subcommand(1);

  auto* serve_cmd = cmd->add_subcommand(
      "serve", "Runs the virtual room; programs reach it with ALSA_CONFIG_PATH=DIR/asound.conf");
  add_scene_options(*serve_cmd, *options);
  serve_cmd->add_option("--dir", options->directory, "Folder for sockets and files")->required();
  serve_cmd->add_option("--control", options->control,
                        "Control socket; without it: DIR/control.sock");
  serve_cmd->add_option("--plugin", options->plugin,
                        "The ALSA plugin, when not beside the program");
  auto* virtual_time =
      serve_cmd->add_flag("--virtual-time", options->virtual_time, "As fast as the clients go");
  serve_cmd->add_flag("--realtime", options->real_time, "By the clock (this is the default)")
      ->excludes(virtual_time);
  serve_cmd->add_flag("--normal-priority", options->normal_priority,
                      "Do not ask for real-time priority");
  serve_cmd->callback([options, &exit_code] { exit_code = report(serve(*options)); });

  auto* render_cmd = cmd->add_subcommand("render", "Renders a scene to WAV files");
  add_scene_options(*render_cmd, *options);
  render_cmd->add_option("--seconds", options->seconds, "How long")
      ->check(CLI::Range(0.01, 86400.0))
      ->capture_default_str();
  render_cmd->add_option("--out", options->out, "Folder for the files")->required();
  render_cmd->add_option("--far", options->far, "What the loudspeaker plays (WAV or FLAC)")
      ->check(CLI::ExistingFile);
  render_cmd->callback([options, &exit_code] { exit_code = report(render(*options)); });
}

}  // namespace conclave::apps
