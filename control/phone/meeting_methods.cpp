// SPDX-License-Identifier: Apache-2.0
// What can be asked of a conference, by every door of the phone. The answer is the service's.
#include "control/phone/phone.h"
#include "service/protocol/messages.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;
using Param = RpcParam;
using Verb = MeetingCommand::Verb;

std::string text_of(const Json& params, const char* name) {
  const auto at = params.find(name);
  return at != params.end() && at->is_string() ? at->get<std::string>() : std::string();
}

/// In a path of the service's; everything else there is decided by the service.
bool sane(const std::string& participant) {
  return service::protocol::valid_identifier(participant);
}

}  // namespace

void Phone::ask_meeting(const MeetingCommand& command, const Dispatcher::Done& done) {
  conference_->command(command,
                       [this, done, verb = command.verb](const Result<std::string>& outcome) {
                         if (!outcome) return done(rpc_failure(outcome.error(), language()));
                         Json answer{{"done", true}};
                         if (verb == Verb::kDialOut) answer["participant"] = *outcome;
                         done(answer);
                       });
}

void Phone::add_meeting_methods() {
  const RpcFailure no_participant{kRpcInvalidParams, "participant must be an id of the roster",
                                  nullptr};
  dispatcher_.add_later(
      "meeting.mute",
      {{"participant", Param::Type::kString, true}, {"muted", Param::Type::kBool, true}},
      "Mutes or opens a line of the roster: the own one, or as chairperson any.",
      [this, no_participant](const Json& params, const RpcCaller&, const Dispatcher::Done& done) {
        MeetingCommand command{
            Verb::kMute, text_of(params, "participant"), params["muted"].get<bool>(), {}, {}};
        if (!sane(command.participant)) return done(no_participant);
        ask_meeting(command, done);
      });
  dispatcher_.add_later(
      "meeting.mute_all", {{"muted", Param::Type::kBool, true}},
      "As chairperson: mutes or opens all lines but chairpersons', those who come later too.",
      [this](const Json& params, const RpcCaller&, const Dispatcher::Done& done) {
        ask_meeting({Verb::kMuteAll, {}, params["muted"].get<bool>(), {}, {}}, done);
      });
  dispatcher_.add_later(
      "meeting.eject", {{"participant", Param::Type::kString, true}},
      "As chairperson: removes somebody from the conference, or ends a call out.",
      [this, no_participant](const Json& params, const RpcCaller&, const Dispatcher::Done& done) {
        MeetingCommand command{Verb::kEject, text_of(params, "participant"), true, {}, {}};
        if (!sane(command.participant)) return done(no_participant);
        ask_meeting(command, done);
      });
  dispatcher_.add_later(
      "meeting.dial_out",
      {{"to", Param::Type::kString, true}, {"name", Param::Type::kString, false}},
      "As chairperson: has the service call a number or SIP address; the roster tells how it goes.",
      [this](const Json& params, const RpcCaller&, const Dispatcher::Done& done) {
        MeetingCommand command{
            Verb::kDialOut, {}, true, text_of(params, "to"), text_of(params, "name")};
        if (!service::protocol::valid_dial_target(command.to)) {
          return done(RpcFailure{kRpcInvalidParams,
                                 "to must be a number, or an address such as sip:anna@example.com",
                                 nullptr});
        }
        if (!service::protocol::valid_text(command.name, service::protocol::kMaxName)) {
          return done(RpcFailure{kRpcInvalidParams, "name is no plain text of 128 bytes", nullptr});
        }
        ask_meeting(command, done);
      });
  dispatcher_.add_later(
      "meeting.operator",
      {{"participant", Param::Type::kString, false}, {"asked", Param::Type::kBool, false}},
      "Asks for an operator on the own line, or as chairperson on any; asked false takes it back.",
      [this, no_participant](const Json& params, const RpcCaller&, const Dispatcher::Done& done) {
        const auto asked = params.find("asked");
        MeetingCommand command{Verb::kOperator,
                               text_of(params, "participant"),
                               asked == params.end() || !asked->is_boolean() || asked->get<bool>(),
                               {},
                               {}};
        if (!command.participant.empty() && !sane(command.participant)) return done(no_participant);
        ask_meeting(command, done);
      });
  dispatcher_.add_later(
      "meeting.record", {{"recording", Param::Type::kBool, true}},
      "As chairperson: begins or ends the recording of the conference at the service.",
      [this](const Json& params, const RpcCaller&, const Dispatcher::Done& done) {
        ask_meeting({Verb::kRecord, {}, params["recording"].get<bool>(), {}, {}}, done);
      });
}

}  // namespace conclave::control
