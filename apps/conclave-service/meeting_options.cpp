// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave-service/meeting_options.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fstream>
#include <string>

#include "service/protocol/messages.h"

namespace conclave::apps {
namespace {

/// "sip:host[:port][;transport=…]": an address without a user.
std::string check_gateway(const std::string& text) {
  const auto colon = text.find(':');
  const bool sip = text.rfind("sip:", 0) == 0 || text.rfind("sips:", 0) == 0;
  if (sip && text.find('@') == std::string::npos &&
      service::protocol::valid_dial_target(text.substr(0, colon + 1) + "1@" +
                                           text.substr(colon + 1))) {
    return {};
  }
  return "must be sip:HOST[:PORT], with ;transport=tcp or tls where it is not UDP";
}

std::string check_target(const std::string& text) {
  return service::protocol::valid_dial_target(text) ? "" : "must be a number or a SIP address";
}

}  // namespace

void add_meeting_options(CLI::App& app, service::ServiceConfig& config) {
  auto& out = config.dial_out;
  app.add_option("--dial-out-gateway", out.gateway,
                 "SIP gateway for numbers that a chairperson dials; without it no number is called")
      ->type_name("sip:HOST")
      ->check(check_gateway);
  app.add_flag("--dial-out-addresses", out.addresses,
               "Let chairpersons dial SIP addresses straight");
  app.add_option("--dial-out-user", out.user, "User name towards the gateway")->type_name("NAME");
  app.add_option_function<std::string>(
         "--dial-out-password-file",
         [&out](const std::string& path) {
           std::ifstream in(path);
           if (!std::getline(in, out.password)) {
             throw CLI::ValidationError("--dial-out-password-file", "cannot read " + path);
           }
         },
         "File with the password towards the gateway")
      ->type_name("FILE");
  app.add_option("--dial-out-ca", out.ca_file,
                 "CAs that vouch for whom the service calls over TLS (default: the laboratory's)")
      ->type_name("FILE");
  app.add_option("--dial-out-seconds", out.answer_within_s, "How long a call may ring")
      ->capture_default_str()
      ->check(CLI::Range(5, 300));
  app.add_option("--operator", config.operator_address,
                 "Who is called when a participant asks for an operator")
      ->type_name("NUMBER|sip:ADDRESS")
      ->check(check_target);
  app.add_option("--recordings", config.recordings,
                 "Folder for recordings (default: DIR/recordings)")
      ->type_name("DIR");
  app.add_option(
         "--sip-address", config.sip_addresses,
         "Address by which phones reach SIP, where it is not --advertise; repeated: those to "
         "try when one does not answer")
      ->type_name("HOST[:PORT]");
  app.add_flag("--tunnel", config.tunnel,
               "Run a tunnel server (coturn) for phones whose direct way is closed");
  app.add_option("--tunnel-port", config.tunnel_port, "Its port for TLS; 0: any free one")
      ->check(CLI::Range(0, 65535));
  app.add_option("--token-lifetime", config.token_lifetime_s,
                 "Seconds that a phone's token counts; it renews it by itself")
      ->capture_default_str()
      ->check(CLI::Range(10, 30 * 86400));
}

}  // namespace conclave::apps
