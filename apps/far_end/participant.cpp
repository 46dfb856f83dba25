// SPDX-License-Identifier: Apache-2.0
#include "apps/far_end/participant.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace conclave::apps {
namespace {

constexpr auto kAnswerWithin = std::chrono::seconds(15);

/// Our address on the way to the service: no packet is sent to learn it.
Result<std::string> local_address_towards(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return Error{"The SIP server " + host + " cannot be found; check the name server"};
  }
  const int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  std::array<char, NI_MAXHOST> text{};
  const bool ok = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&
                  getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
                  getnameinfo(reinterpret_cast<sockaddr*>(&own), size, text.data(), text.size(),
                              nullptr, 0, NI_NUMERICHOST) == 0;
  if (fd >= 0) close(fd);
  freeaddrinfo(found);
  if (!ok) return Error{"No way to the SIP server " + host};
  return std::string(text.data());
}

}  // namespace

Participant::Participant(const ParticipantConfig& config) : rest_(config.rest, config.ca_file) {}

Participant::~Participant() {
  leave();
  signalling_.reset();
  stream_.reset();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

Result<std::unique_ptr<Participant>> Participant::join(const ParticipantConfig& config) {
  std::unique_ptr<Participant> participant(new Participant(config));
  CONCLAVE_CHECK_STATUS(participant->connect(config));
  return participant;
}

Status Participant::connect(const ParticipantConfig& config) {
  CONCLAVE_CHECK_STATUS(rest_.login({config.serial, "Conclave far end", "1", config.name}));
  CONCLAVE_TRY(place_, rest_.join({config.passcode, config.email, config.name}));
  CONCLAVE_TRY(const std::string address, local_address_towards(place_.sip.host, place_.sip.port));

  media::CallStreamConfig stream;
  stream.local_address = address;
  CONCLAVE_TRY(stream_, media::CallStream::create(stream, uplink_, downlink_));
  media::LocalMedia local;
  local.address = address;
  local.port = stream_->local_port();
  CONCLAVE_TRY(const auto offer, media::make_offer(local));

  std::string folder =
      (std::filesystem::temp_directory_path() / "conclave-far-end-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr)
    return Error{"Cannot make a folder in the temporary folder"};
  folder_ = folder;
  media::SignallingConfig sip;
  sip.bind_address = address;
  sip.user = "far-end";
  sip.display_name = config.name;
  sip.folder = folder_;
  sip.ca_file = config.ca_file;
  CONCLAVE_TRY(signalling_, media::create_signalling(
                                sip, [this](const media::SignallingEvent& e) { on_event(e); }));
  media::SipInvite invite;
  invite.target = place_.sip.uri;
  invite.offer = offer;
  invite.headers.push_back(
      {std::string(service::protocol::kParticipantHeader),
       service::protocol::participant_header(place_.participant.id, rest_.token())});
  CONCLAVE_TRY(call_, signalling_->invite(invite));

  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, kAnswerWithin, [this] { return answered_ || ended_; })) {
    return Error{"The SIP server did not answer within 15 s", "SIG-903"};
  }
  if (ended_ || !answer_) return Error{"The call was refused: " + reason_, "SIG-903"};
  const auto answer = *answer_;
  lock.unlock();
  CONCLAVE_TRY(const auto peer, media::accept_answer(offer, answer));
  return stream_->start(peer);
}

void Participant::on_event(const media::SignallingEvent& event) {
  using Kind = media::SignallingEvent::Kind;
  const std::lock_guard lock(mutex_);
  if (event.kind == Kind::kAnswered) {
    answered_ = true;
    answer_ = event.sdp;
    reason_ = event.detail;
  } else if (event.kind == Kind::kEnded) {
    ended_ = true;
    reason_ = std::to_string(event.code) + " " + event.reason +
              (event.detail.empty() ? "" : " (" + event.detail + ")");
  }
  changed_.notify_all();
}

bool Participant::ended(std::string* reason) const {
  const std::lock_guard lock(mutex_);
  if (ended_ && reason != nullptr) *reason = reason_;
  return ended_;
}

void Participant::leave() {
  if (call_ == 0 || signalling_ == nullptr) return;
  signalling_->hang_up(std::exchange(call_, 0));
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(2), [this] { return ended_; });
  lock.unlock();
  stream_->stop();
}

}  // namespace conclave::apps
