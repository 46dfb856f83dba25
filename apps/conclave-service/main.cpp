// SPDX-License-Identifier: Apache-2.0
// The provider's other end as software that a site can host: call control, SIP focus and mixer.
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <string>

#include "apps/conclave-service/meeting_options.h"
#include "base/log.h"
#include "service/lab_ca.h"
#include "service/service.h"

namespace {

constexpr int kOk = 0;
constexpr int kFailure = 1;
constexpr int kWrongUse = 2;

std::string one_line(std::string text) {
  for (char& c : text) c = c == '\n' ? ' ' : c;
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

int serve(const conclave::service::ServiceConfig& config) {
  // Blocked before any thread starts, so that they arrive here and nowhere else.
  sigset_t endings;
  sigemptyset(&endings);
  sigaddset(&endings, SIGTERM);
  sigaddset(&endings, SIGINT);
  sigaddset(&endings, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &endings, nullptr);
  signal(SIGPIPE, SIG_IGN);

  // Each call takes some descriptors; Debian's soft limit is 1024.
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }

  auto service = conclave::service::Service::start(config);
  if (!service) {
    std::fprintf(stderr, "conclave-service: %s\n", one_line(service.error().message).c_str());
    return kFailure;
  }
  std::printf("%s\n", (*service)->ready_line().c_str());
  std::fflush(stdout);
  while (true) {
    const timespec second{1, 0};
    const int got = sigtimedwait(&endings, nullptr, &second);
    if (got > 0) {
      conclave::log::info("service", "ending", {{"signal", got}});
      break;
    }
    if (errno == EAGAIN) (*service)->tick();
  }
  return kOk;
}

int issue(const std::string& data, const std::string& serial, std::string file) {
  if (file.empty()) file = data + "/device-" + serial + ".pem";
  const auto status = conclave::service::issue_device_certificate(data, serial, file);
  if (!status) {
    std::fprintf(stderr, "conclave-service: %s\n", one_line(status.error().message).c_str());
    return kFailure;
  }
  std::printf("%s\n", file.c_str());
  return kOk;
}

int run(int argc, char** argv) {
  CLI::App app{
      "Conclave's conference service: call control over HTTPS, SIP focus and mixer, for "
      "laboratories and self-hosting. Prints one line of JSON when it is ready and runs until "
      "SIGTERM.",
      "conclave-service"};
  conclave::service::ServiceConfig config;
  bool version = false;
  bool json = false;
  bool quiet = false;
  std::string log_file;
  app.add_flag("--version", version, "Print the version and end");
  app.add_flag("--json", json, "With --version: as JSON");
  app.add_flag("--quiet", quiet, "Log warnings and errors only");
  app.add_option("--log-file", log_file, "Write the log to this file too");
  app.add_option("--data", config.data,
                 "Folder for the laboratory CA (ca.pem), certificates and conferences.json; made "
                 "when missing")
      ->type_name("DIR");
  app.add_option("--config", config.directory_file,
                 "Conferences and passcodes (default: DIR/conferences.json, made when missing)")
      ->type_name("FILE");
  app.add_option("--listen", config.listen, "Address for REST, SIP and media")
      ->capture_default_str()
      ->type_name("ADDRESS");
  app.add_option("--advertise", config.advertise,
                 "Address that phones reach, where it is not --listen")
      ->type_name("ADDRESS");
  app.add_option("--name", config.names, "Further host name for certificate and requests")
      ->type_name("HOST");
  app.add_option("--rest-port", config.rest_port, "Port for REST; 0: any free one")
      ->check(CLI::Range(0, 65535));
  app.add_option("--sip-port", config.sip_port, "Port for SIP over TLS; 0: any free one")
      ->check(CLI::Range(0, 65535));
  app.add_option("--mixer-prebuffer", config.prebuffer,
                 "Packets of 20 ms that the mixer holds for each participant: more for networks "
                 "with jitter")
      ->capture_default_str()
      ->check(CLI::Range(1, 10));
  app.add_option("--silent-after", config.silent_after_s,
                 "Seconds without any packet from a phone until its call is ended")
      ->capture_default_str()
      ->check(CLI::Range(2, 3600));
  app.add_flag("--sign-configurations", config.sign_configurations,
               "Sign configuration files with DIR/provisioning/signing.key, made when missing");
  app.add_flag(
      "--open-provisioning", config.open_provisioning,
      "Serve configurations to phones without a device certificate too: laboratories only");
  std::string device;
  std::string out;
  app.add_option("--issue-device-certificate", device,
                 "Make a device certificate for a phone by the CA in DIR, and end")
      ->type_name("SERIAL");
  app.add_option("--out", out,
                 "File for that certificate with its key (default: DIR/device-SERIAL.pem)")
      ->type_name("FILE");
  conclave::apps::add_meeting_options(app, config);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help
    return app.exit(asked);
  } catch (const CLI::ParseError& wrong) {
    std::fprintf(stderr, "conclave-service: %s; see conclave-service --help\n",
                 one_line(wrong.what()).c_str());
    return kWrongUse;
  }
  if (version) {
    std::printf(
        json ? "{\"name\":\"conclave-service\",\"version\":\"%s\"}\n" : "conclave-service %s\n",
        CONCLAVE_VERSION);
    return kOk;
  }
  if (config.data.empty()) {
    std::fprintf(
        stderr, "conclave-service: no folder given; add --data DIR, see conclave-service --help\n");
    return kWrongUse;
  }
  if (quiet) conclave::log::set_level(conclave::log::Level::kWarning);
  if (!log_file.empty() && !conclave::log::set_file(log_file)) {
    std::fprintf(stderr, "conclave-service: cannot write %s; choose another --log-file\n",
                 log_file.c_str());
    return kFailure;
  }
  if (!device.empty()) return issue(config.data, device, out);
  return serve(config);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& unforeseen) {
    std::fprintf(stderr, "conclave-service: %s; please report this\n", unforeseen.what());
    return kFailure;
  }
}
