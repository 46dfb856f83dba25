// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "media/sip/sdp.h"

namespace conclave::media {

enum class SipTransport : std::uint8_t {
  kTls,  ///< the only one for the world outside
  kTcp,  ///< loopback and laboratories
  kUdp,
};

/// One SIP endpoint: phone (calls out) and service (is called) alike.
struct SignallingConfig {
  SipTransport transport = SipTransport::kTls;
  std::string bind_address = "0.0.0.0";  ///< literal to listen on; IPv4 or IPv6 without brackets
  std::uint16_t bind_port = 0;           ///< 0: a free one; see Signalling::port()
  std::string user = "conclave";         ///< user part of our address
  std::string display_name;
  std::string domain;  ///< host part of our address; empty: bind_address
  std::string user_agent = "Conclave";

  /// TLS. `folder` is ours alone: it is made with mode 0700, and the library's agent.pem (mode
  /// 0600) and cafile.pem are written there from the files below. It must not be shared by two
  /// endpoints that live at the same time.
  std::string folder;
  std::string ca_file;           ///< PEM, who may vouch for servers; required for outgoing calls
  std::string certificate_file;  ///< PEM chain, own certificate; required to be called by TLS
  std::string key_file;          ///< PEM, its private key
  bool verify_server = true;     ///< chain and name (host name or IP in subjectAltName)

  std::string auth_user;       ///< digest; empty: `user`
  std::string auth_password;   ///< never logged
  std::string outbound_proxy;  ///< "sip:host:port;transport=tls"; empty: straight to the target
  /// Whom the server's certificate must name when `outbound_proxy` is only a way to it (a local
  /// port that leads through a tunnel); empty: the host of the proxy or of the target.
  std::string server_name;
  int session_expires_s = 1800;  ///< RFC 4028; 0: no session timer; otherwise at least 90
  int invite_timeout_s = 32;     ///< unanswered calls end with 408
};

using CallId = std::uint64_t;  ///< never 0, never used twice by one endpoint

struct SipHeader {
  std::string name;
  std::string value;
};

struct SipInvite {
  std::string target;  ///< "sip:room@host:port"; the transport parameter is added when missing
  SessionDescription offer;
  std::vector<SipHeader> headers;  ///< such as {"X-Conclave-Participant", "…"}
};

/// What happens to calls. Codes and reasons are SIP's own ("486", "Busy Here"); where no peer
/// answered they are made up here in the same terms (408 timeout, 503 unreachable) and, for TLS,
/// `detail` says what the library saw ("certificate is not trusted").
struct SignallingEvent {
  enum class Kind : std::uint8_t {
    kTrying,    ///< outgoing: 100
    kRinging,   ///< outgoing: 180..183
    kAnswered,  ///< outgoing: 200, with the peer's sdp (absent: unusable, see detail)
    kIncoming,  ///< a new call, with the peer's offer and X- headers; ring(), answer() or reject()
    kEstablished,  ///< incoming: our answer was acknowledged
    kUpdated,      ///< the peer re-invited with a changed offer; answer() it (or reject(488))
    kInfo,         ///< in-dialog INFO: content_type and body
    kNotify,  ///< in-dialog NOTIFY without a subscription: `reason` is its Event ("check-sync")
    kEnded,   ///< the last event of every call, whoever ended it
  };
  Kind kind = Kind::kEnded;
  CallId call = 0;
  int code = 0;
  std::string reason;
  std::string detail;
  bool by_peer = false;                   ///< kEnded: the other end hung up or refused
  std::optional<SessionDescription> sdp;  ///< kAnswered, kIncoming, kUpdated
  std::string from;                       ///< kIncoming: the caller's URI
  std::string to;                         ///< kIncoming: the URI that was asked for
  std::string peer_address;               ///< kIncoming: the network address it came from
  std::vector<SipHeader> headers;         ///< kIncoming, kAnswered: unknown to SIP itself (X-…)
  std::string content_type;
  std::string body;
};

/// SIP user agent. All functions may be called from any thread, the handler included; each returns
/// at once and the outcome comes as an event on the endpoint's own thread. An event handler must
/// not block for long. Destroying it hangs up what is left and waits at most about 3 s for the
/// peers.
class Signalling {
 public:
  using Handler = std::function<void(const SignallingEvent&)>;
  virtual ~Signalling() = default;

  /// Where it listens.
  virtual std::uint16_t port() const = 0;
  /// Our own address, "sip:user@host:port;transport=tls".
  virtual std::string uri() const = 0;

  virtual Result<CallId> invite(const SipInvite& invite) = 0;
  /// 180 to an incoming call.
  virtual void ring(CallId call) = 0;
  /// 200 to an incoming call or to kUpdated.
  virtual void answer(CallId call, const SessionDescription& answer,
                      const std::vector<SipHeader>& headers = {}) = 0;
  virtual void reject(CallId call, int code, const std::string& reason) = 0;
  /// Re-INVITE: hold, resume, new keys. The outcome is kAnswered again.
  virtual void reinvite(CallId call, const SessionDescription& offer) = 0;
  /// In-dialog INFO, such as DTMF ("application/dtmf-relay").
  virtual void info(CallId call, const std::string& content_type, const std::string& body) = 0;
  /// In-dialog NOTIFY of an event that nobody subscribed to, such as "check-sync".
  virtual void notify(CallId call, const std::string& event) = 0;
  /// CANCEL or BYE, whichever fits. kEnded follows.
  virtual void hang_up(CallId call) = 0;
};

/// The implementation on sofia-sip. Starts the thread and listens; an error says why it could not
/// (port in use, certificate unreadable, CA missing).
Result<std::unique_ptr<Signalling>> create_signalling(const SignallingConfig& config,
                                                      Signalling::Handler handler);

}  // namespace conclave::media
