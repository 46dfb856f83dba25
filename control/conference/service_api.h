// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "control/conference/rest_client.h"
#include "control/loop/loop.h"
#include "service/protocol/messages.h"

namespace conclave::control {

/// Why the service did not do what was asked.
struct ServiceFailure {
  Error error;                  ///< of the catalogue
  std::optional<Error> detail;  ///< the entry behind the (?) symbol, where the service told one
  bool reached = false;         ///< there was an answer
  bool retryable = false;
  bool token_rejected = false;
};
/// Something that a participant asks of a conference.
struct MeetingCommand {
  enum class Verb : std::uint8_t { kMute, kMuteAll, kEject, kDialOut, kOperator, kRecord };
  Verb verb = Verb::kMute;
  std::string participant;  ///< whom; kOperator: which line, empty: the own
  bool on = true;           ///< muted, asked for, recording
  std::string to, name;     ///< kDialOut
};

template <typename T>
using ServiceResult = std::variant<T, ServiceFailure>;

/// The conferencing service as the phone sees it. All on the control loop; answers come on it
/// later, never from within the call, and not after cancel_all().
class ServiceApi {
 public:
  template <typename T>
  using Done = std::function<void(ServiceResult<T>)>;
  virtual ~ServiceApi() = default;

  virtual void login(const service::protocol::LoginRequest& request,
                     Done<service::protocol::LoginResponse> done) = 0;
  /// A new token for one that still counts; sessions and calls stay.
  virtual void renew(const std::string& token, Done<service::protocol::LoginResponse> done) = 0;
  virtual void activate(const service::protocol::ActivationRequest& request,
                        Done<service::protocol::ActivationResponse> done) = 0;
  virtual void deactivate(const std::string& token, Done<bool> done) = 0;
  virtual void join(const std::string& token, const service::protocol::JoinRequest& request,
                    Done<service::protocol::JoinResponse> done) = 0;
  virtual void roster(const std::string& token, const std::string& conference,
                      std::optional<std::uint64_t> since, Done<service::protocol::Roster> done) = 0;
  virtual void mute(const std::string& token, const std::string& conference,
                    const std::string& participant, bool muted, Done<bool> done) = 0;
  /// The participant who is being called, for kDialOut; else empty.
  virtual void command(const std::string& token, const std::string& conference,
                       const MeetingCommand& command, Done<std::string> done) = 0;
  virtual void leave(const std::string& token, const std::string& conference,
                     const std::string& participant, Done<bool> done) = 0;
  /// Nothing that was asked before will be answered.
  virtual void cancel_all() = 0;
  /// How many servers there are, and which one is asked from now on (0 is the first).
  virtual std::size_t servers() const { return 1; }
  virtual void select(std::size_t) {}
  virtual std::string address() const { return {}; }
};

/// Failure from an answer that is not 2xx, or from none. `fallback` is the catalogue's id for a
/// refusal that the service did not explain.
ServiceFailure failure_of(const RestResponse& response, std::string_view fallback);

/// REST over HTTPS under Dvms.Server.Address.
class RestServiceApi final : public ServiceApi {
 public:
  RestServiceApi(Loop& loop, RestClient& client) : loop_(&loop), client_(&client) {}
  /// `urls`: at least one; the others are asked when those before do not answer.
  void set_base(const std::vector<std::string>& urls, std::chrono::seconds timeout);
  void set_base(const std::string& url, std::chrono::seconds timeout) {
    set_base(std::vector<std::string>{url}, timeout);
  }

  void login(const service::protocol::LoginRequest& request,
             Done<service::protocol::LoginResponse> done) override;
  void renew(const std::string& token, Done<service::protocol::LoginResponse> done) override;
  void activate(const service::protocol::ActivationRequest& request,
                Done<service::protocol::ActivationResponse> done) override;
  void deactivate(const std::string& token, Done<bool> done) override;
  void join(const std::string& token, const service::protocol::JoinRequest& request,
            Done<service::protocol::JoinResponse> done) override;
  void roster(const std::string& token, const std::string& conference,
              std::optional<std::uint64_t> since, Done<service::protocol::Roster> done) override;
  void mute(const std::string& token, const std::string& conference, const std::string& participant,
            bool muted, Done<bool> done) override;
  void command(const std::string& token, const std::string& conference,
               const MeetingCommand& command, Done<std::string> done) override;
  void leave(const std::string& token, const std::string& conference,
             const std::string& participant, Done<bool> done) override;
  void cancel_all() override { ++*epoch_; }
  std::size_t servers() const override { return bases_.size(); }
  void select(std::size_t server) override { selected_ = server; }
  std::string address() const override {
    return bases_.empty() ? std::string() : bases_[selected_ % bases_.size()];
  }

 private:
  void send(RestRequest request, const std::string& path,
            std::function<void(RestResponse)> on_loop);

  Loop* loop_;
  RestClient* client_;
  std::vector<std::string> bases_;
  std::size_t selected_ = 0;
  std::chrono::seconds timeout_{15};
  std::shared_ptr<std::uint64_t> epoch_ = std::make_shared<std::uint64_t>(0);
};

}  // namespace conclave::control
