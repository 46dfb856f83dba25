// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "media/sip/signalling.h"
#include "media/sip/sofia_loop.h"
#include "media/sip/sofia_types.h"
#include "media/sip/tls_guard.h"

namespace conclave::media {

/// One dialog, on the signalling thread. The library knows it by this address.
struct SofiaCall {
  enum class Phase : std::uint8_t {
    kCalling,   ///< our INVITE is out
    kIncoming,  ///< theirs is here, unanswered
    kAnswered,  ///< our 200 is out, the ACK is not here
    kEstablished,
    kEnded,  ///< the application has been told
  };
  CallId id = 0;
  Phase phase = Phase::kCalling;
  nua_handle_t* handle = nullptr;
  std::string host;              ///< the host we called: what its certificate must show
  std::string last_sdp;          ///< ours, answered again to refreshes
  std::string refusal;           ///< our phrase for a refusal: the library keeps the pointer
  std::string peer_sdp;          ///< theirs, to tell a refresh from a change
  bool update_pending = false;   ///< their re-INVITE waits for our answer
  bool authenticated = false;    ///< credentials were sent once
  std::int64_t deadline_ns = 0;  ///< of an unanswered outgoing call
};

/// Signalling on sofia-sip's nua: dialogs, transactions, timers, digest and TLS transport are the
/// library's; offers and answers, and whom to trust, are ours. One thread runs the library's event
/// loop; other threads post tasks to it.
class SofiaSignalling final : public Signalling {
 public:
  static Result<std::unique_ptr<Signalling>> create(const SignallingConfig& config,
                                                    Handler handler);
  ~SofiaSignalling() override;

  std::uint16_t port() const override { return port_; }
  std::string uri() const override { return uri_; }
  Result<CallId> invite(const SipInvite& invite) override;
  void ring(CallId call) override;
  void answer(CallId call, const SessionDescription& answer,
              const std::vector<SipHeader>& headers) override;
  void reject(CallId call, int code, const std::string& reason) override;
  void reinvite(CallId call, const SessionDescription& offer) override;
  void info(CallId call, const std::string& content_type, const std::string& body) override;
  void notify(CallId call, const std::string& event) override;
  void hang_up(CallId call) override;

  /// One event of the library, already narrowed down to what is used here. Signalling thread.
  struct LibraryEvent {
    int event = 0;  ///< nua_event_t
    int status = 0;
    const char* phrase = nullptr;
    nua_handle_t* handle = nullptr;
    SofiaCall* call = nullptr;
    const sip_t* sip = nullptr;
    int call_state = -1;  ///< nua_callstate, for nua_i_state
  };
  void on_event(const LibraryEvent& event);
  void on_tick();

 private:
  SofiaSignalling(SignallingConfig config, Handler handler);
  Status open();  ///< signalling thread: everything up to the event loop
  Status make_agent(std::uint16_t port);
  void run();
  void close();
  void forget(CallId call);
  SofiaCall* find(CallId call);
  std::vector<std::string> expected_names() const;
  void tls_refused(const std::string& why);
  void start_call(CallId id, const SipInvite& invite);
  void on_invite_response(SofiaCall& call, const LibraryEvent& event);
  void on_incoming(const LibraryEvent& event);
  void on_reinvite(SofiaCall& call, const LibraryEvent& event);
  void on_terminated(SofiaCall& call, const LibraryEvent& event);
  void on_challenge(SofiaCall& call, const LibraryEvent& event);
  void end(SofiaCall& call, int code, const std::string& reason, bool by_peer,
           const std::string& detail = {});
  void hang_up_now(SofiaCall& call);
  void tell(const SignallingEvent& event);
  std::string transport_parameter() const;

  const SignallingConfig config_;
  const Handler handler_;
  SofiaLoop loop_;
  std::thread thread_;
  std::atomic<CallId> last_id_{0};
  std::uint16_t port_ = 0;
  std::string uri_;

  // Signalling thread's.
  su_root_t* root_ = nullptr;
  nua_t* nua_ = nullptr;
  su_timer_t* timer_ = nullptr;
  std::unique_ptr<TlsGuard> guard_;
  std::string last_refusal_;
  std::map<CallId, std::unique_ptr<SofiaCall>> calls_;
  bool closing_ = false;
  bool shut_down_ = false;  // the library has said so
  std::int64_t close_deadline_ns_ = 0;
};

}  // namespace conclave::media
