// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// What a phone and the conference service say to each other over HTTPS, as plain structs.
///
/// Every parse_... takes bytes from outside: it refuses what is no JSON object, nests deeper than
/// kMaxDepth, is longer than kMaxBodyBytes, misses a required member or holds one of the wrong
/// type, an unprintable or over-long text. Members it does not know are ignored, so that either
/// side may be the newer one. Nothing here throws; any thread. The forms are described in
/// docs/service-protocol.md.
namespace conclave::service::protocol {

inline constexpr std::size_t kMaxBodyBytes = 64 * 1024;  ///< of an answer; requests are smaller
inline constexpr std::size_t kMaxRequestBytes = 4 * 1024;
inline constexpr int kMaxDepth = 8;
inline constexpr std::size_t kMaxName = 128;     ///< bytes of a display name or title
inline constexpr std::size_t kMaxPasscode = 32;  ///< digits
inline constexpr std::size_t kMaxEmail = 254;
inline constexpr std::size_t kMaxIdentifier = 64;
inline constexpr std::size_t kMaxToken = 256;
inline constexpr std::size_t kMaxPin = 32;
inline constexpr int kMaxWaitSeconds = 30;  ///< of a roster long poll

/// SIP header that ties an INVITE to a participant: "pid;token".
inline constexpr std::string_view kParticipantHeader = "X-Conclave-Participant";

enum class Role { kParticipant, kChairperson };
std::string_view to_string(Role role);

struct LoginRequest {
  std::string serial{};  ///< required, identifier
  std::string model{};
  std::string version{};
  std::string display_name{};
  std::string activation{};  ///< token of the activation; empty: never activated
};
struct LoginResponse {
  std::string token{};   ///< bearer token for everything else
  int expires_in_s = 0;  ///< > 0
};

struct ActivationRequest {
  std::string serial{};  ///< required, identifier
  std::string pin{};     ///< 1 to kMaxPin bytes
  std::string model{};
  std::string version{};
};
struct ActivationResponse {
  std::string token{};  ///< shown at each login from now on, and to deactivate
};

struct JoinRequest {
  std::string passcode{};  ///< required, digits
  std::string email{};     ///< empty: not given; else a plausible address
  std::string display_name{};
};
struct JoinResponse {
  struct Conference {
    std::string id{};
    std::string title{};
  } conference{};
  struct Participant {
    std::string id{};
    Role role = Role::kParticipant;
  } participant{};
  struct Sip {
    std::string uri{};
    std::string host{};
    int port = 0;
    std::string transport = "tls";
  } sip{};
  std::vector<Sip> alternatives{};  ///< of `sip`, tried in this order when it does not answer
  /// Where sound and signalling get through when the direct way is closed: TURN over TLS, with
  /// credentials for this participant that expire.
  struct Tunnel {
    std::string host{};
    int port = 0;
    int probe_port = 0;  ///< answers STUN over UDP there; 0: none
    std::string username{};
    std::string password{};  ///< secret
  };
  std::optional<Tunnel> tunnel{};
};
inline constexpr std::size_t kMaxSipAlternatives = 8;

struct MuteRequest {
  bool muted = false;
};

/// What somebody is in a conference by.
enum class Kind {
  kPhone,     ///< joined
  kCalled,    ///< the service called out
  kOperator,  ///< likewise, because an operator was asked for
};
std::string_view to_string(Kind kind);
/// How far a call out has come; those who joined are connected.
enum class Progress { kConnected, kDialing, kRinging, kFailed };
std::string_view to_string(Progress progress);

struct RosterEntry {
  std::string name{};
  Role role = Role::kParticipant;
  bool muted = false;
  bool talking = false;
  Kind kind = Kind::kPhone;
  Progress progress = Progress::kConnected;
  std::string error{};          ///< catalogue id, of a call out that failed
  bool operator_asked = false;  ///< an operator was asked for on this line and is not there yet
  bool operator==(const RosterEntry&) const = default;
};
struct Roster {
  std::uint64_t revision = 0;                         ///< "rev"; grows with each change
  std::map<std::string, RosterEntry> participants{};  ///< by participant id
  bool all_muted = false;                             ///< who comes later is muted too
  bool recording = false;
  std::int64_t recording_since_ms = 0;  ///< since 1970, while recording
};

inline constexpr std::size_t kMaxDialTarget = 256;
struct DialOutRequest {
  std::string to{};    ///< required: valid_dial_target()
  std::string name{};  ///< for the roster; empty: `to`
};
struct DialOutResponse {
  std::string participant{};  ///< its progress is in the roster
};
struct OperatorRequest {
  std::string participant{};  ///< the line; empty: the caller's own
  bool asked = true;          ///< false: not needed any more
};
struct RecordRequest {
  bool recording = false;
};

/// {"error":{"id":…,"message":…,"detail":{…}}}: id and message of the error catalogue. `detail`
/// holds the entry with the code that a phone shows behind its (?) symbol.
struct ErrorBody {
  std::string id{};
  std::string message{};
  std::string detail_id{};
  std::string detail_message{};
};

Result<LoginRequest> parse_login_request(std::string_view json);
Result<LoginResponse> parse_login_response(std::string_view json);
/// A missing or empty PIN is ACT-400, one that could never be right ACT-401.
Result<ActivationRequest> parse_activation_request(std::string_view json);
Result<ActivationResponse> parse_activation_response(std::string_view json);
Result<JoinRequest> parse_join_request(std::string_view json);
Result<JoinResponse> parse_join_response(std::string_view json);
Result<MuteRequest> parse_mute_request(std::string_view json);
Result<Roster> parse_roster(std::string_view json);
Result<DialOutRequest> parse_dial_out_request(std::string_view json);
Result<DialOutResponse> parse_dial_out_response(std::string_view json);
Result<OperatorRequest> parse_operator_request(std::string_view json);
Result<RecordRequest> parse_record_request(std::string_view json);
Result<ErrorBody> parse_error(std::string_view json);

std::string to_json(const LoginRequest& value);
std::string to_json(const LoginResponse& value);
std::string to_json(const ActivationRequest& value);
std::string to_json(const ActivationResponse& value);
std::string to_json(const JoinRequest& value);
std::string to_json(const JoinResponse& value);
std::string to_json(const MuteRequest& value);
std::string to_json(const Roster& value);
std::string to_json(const ErrorBody& value);
std::string to_json(const DialOutRequest& value);
std::string to_json(const DialOutResponse& value);
std::string to_json(const OperatorRequest& value);
std::string to_json(const RecordRequest& value);

/// Letters, digits, '-', '_' and '.', 1 to kMaxIdentifier bytes, not starting with '.': safe in
/// paths, headers and logs.
bool valid_identifier(std::string_view text);
/// 1 to kMaxPasscode decimal digits.
bool valid_passcode(std::string_view text);
/// 1 to kMaxPin bytes of letters, digits and '-'.
bool valid_pin(std::string_view text);
/// One '@' with something plausible on both sides: catches typing errors, not more (F118).
bool valid_email(std::string_view text);
/// A number (2 to 32 digits, also with '*' and '#', a '+' in front) or an address
/// "sip:user@host[:port][;transport=udp|tcp|tls]" (or "sips:").
bool valid_dial_target(std::string_view text);
/// Well-formed UTF-8 without control characters, at most `max_bytes`.
bool valid_text(std::string_view text, std::size_t max_bytes);

/// Paths behind the service's address (`Dvms.Server.Address`).
std::string login_path();
std::string token_path();
std::string activation_path();
std::string join_path();
std::string roster_path(std::string_view conference);
std::string roster_poll_path(std::string_view conference, std::uint64_t since, int wait_seconds);
std::string mute_path(std::string_view conference, std::string_view participant);
std::string participant_path(std::string_view conference, std::string_view participant);
std::string mute_all_path(std::string_view conference);
std::string dial_out_path(std::string_view conference);
std::string operator_path(std::string_view conference);
std::string recording_path(std::string_view conference);

/// Value of kParticipantHeader.
std::string participant_header(std::string_view participant, std::string_view token);
struct ParticipantCredentials {
  std::string participant{};
  std::string token{};
};
/// Empty when the value has not the form "pid;token".
std::optional<ParticipantCredentials> parse_participant_header(std::string_view value);

}  // namespace conclave::service::protocol
