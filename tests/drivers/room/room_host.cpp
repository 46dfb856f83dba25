// SPDX-License-Identifier: Apache-2.0
// room_host DIR PLUGIN virtual|real: a room without recorded voices for the tests of the drivers.
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <string_view>

#include "bench/room/room_server.h"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that aborts leaves no room behind
  conclave::bench::room::ServerConfig config;
  config.scene = conclave::bench::room::synthetic_scene();
  config.scene.talk_seconds = 10;
  config.scene.rt60 = 0.2;
  config.scene.rt60_high = 0.2;
  config.scene.loudspeaker_drive = 0;
  config.directory = argv[1];
  config.plugin = argv[2];
  config.virtual_time = std::string_view(argv[3]) == "virtual";
  auto server = conclave::bench::room::RoomServer::create(config);
  if (!server) {
    std::fprintf(stderr, "room_host: %s\n", server.error().message.c_str());
    return 1;
  }
  return (*server)->run() ? 0 : 1;
}
