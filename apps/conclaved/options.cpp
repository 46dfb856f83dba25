// SPDX-License-Identifier: Apache-2.0
#include "apps/conclaved/options.h"

#include <CLI/CLI.hpp>
#include <cstdio>

namespace conclave::apps {

int parse_options(int argc, char** argv, PhoneOptions* options) {
  CLI::App app{"Conclave phone: engine, calls, settings and web interface", "conclaved"};
  bool version = false;
  bool json = false;
  app.add_flag("--version", version, "Print the version and end");
  app.add_flag("--json", json, "With --version: as JSON");
  app.add_option("--data", options->data, "Folder for settings, certificate and the local socket");
  app.add_option("--profile", options->profile, "JSON file with the places of the microphones");
  app.add_option("--ring", options->ring, "ALSA name of the ring's card; without: no sound card");
  app.add_option("--satellite", options->satellites, "ALSA name of a satellite microphone (again)")
      ->allow_extra_args(false);
  app.add_option("--listen", options->listen, "IP address of the web interface");
  app.add_option("--port", options->port, "Port of the web interface; 0: a free one")
      ->check(CLI::Range(0, 65535));
  app.add_option("--ui", options->ui, "Folder with the browser app");
  app.add_option("--service-ca", options->service_ca,
                 "PEM file with the CA of the conferencing service (kept as a setting)");
  app.add_option("--device-certificate", options->device_certificate,
                 "PEM file with the phone's certificate and key (kept as a setting)");
  app.add_option("--lease", options->lease,
                 "JSON file with what the DHCP server has told (docs/provisioning.md)");
  app.add_option("--set", options->set, "NAME=VALUE of a setting, kept as a local value (again)")
      ->allow_extra_args(false);
  app.add_option("--configuration", options->configuration,
                 "Configuration file to put in force at the start (docs/configuration-files.md)");
  app.add_option("--provider", options->provider,
                 "Provider profile to use instead of the setting's (docs/provider-profile.md)");
  app.add_option("--join", options->join, "Passcode of a conference to join and to stay in");
  app.add_option("--email", options->email, "E-mail address for --join");
  app.add_option("--report", options->report, "JSON file to write at the end");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& wrong) {
    std::fprintf(stderr, "conclaved: %s; see conclaved --help\n", wrong.what());
    return 2;
  }
  if (version) {
    std::printf(json ? "{\"name\":\"conclaved\",\"version\":\"%s\"}\n" : "conclaved %s\n",
                CONCLAVE_VERSION);
    return 0;
  }
  if (options->data.empty()) {
    std::fprintf(stderr, "conclaved: --data is missing; see conclaved --help\n");
    return 2;
  }
  return -1;
}

}  // namespace conclave::apps
