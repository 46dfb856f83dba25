// SPDX-License-Identifier: Apache-2.0
#include "media/sip/signalling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "tests/media/lab_certificates.h"

namespace conclave::media {
namespace {

using Kind = SignallingEvent::Kind;
using namespace std::chrono_literals;

/// Collects events; wait() returns the next of a kind and drops those before it.
class Events {
 public:
  Signalling::Handler handler() {
    return [this](const SignallingEvent& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
      ready_.notify_all();
    };
  }
  std::optional<SignallingEvent> wait(Kind kind, std::chrono::milliseconds limit = 5s) {
    std::unique_lock lock(mutex_);
    const auto until = std::chrono::steady_clock::now() + limit;
    for (;;) {
      while (!events_.empty()) {
        auto event = events_.front();
        events_.pop_front();
        if (event.kind == kind) return event;
      }
      if (ready_.wait_until(lock, until) == std::cv_status::timeout && events_.empty()) return {};
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<SignallingEvent> events_;
};

class SignallingTest : public testing::Test {
 protected:
  std::unique_ptr<Signalling> service(const std::string& names, int valid_days = 30,
                                      const std::string& common_name = "lab server") {
    const auto files = ca_.issue("server", names, common_name, valid_days);
    SignallingConfig config;
    config.bind_address = "127.0.0.1";
    config.user = "service";
    config.folder = folder_.path("service");
    config.certificate_file = files.certificate;
    config.key_file = files.key;
    auto made = create_signalling(config, at_service_.handler());
    if (!made) ADD_FAILURE() << made.error().message;
    return made ? std::move(*made) : nullptr;
  }
  std::unique_ptr<Signalling> phone(const std::string& ca_file) {
    SignallingConfig config;
    config.bind_address = "127.0.0.1";
    config.user = "phone";
    config.display_name = "Room \"4\"";
    config.folder = folder_.path("phone");
    config.ca_file = ca_file;
    auto made = create_signalling(config, at_phone_.handler());
    if (!made) ADD_FAILURE() << made.error().message;
    return made ? std::move(*made) : nullptr;
  }
  static LocalMedia local(std::uint16_t port) {
    LocalMedia media;
    media.address = "127.0.0.1";
    media.port = port;
    return media;
  }
  SipInvite invitation(const Signalling& to, const std::string& host = "127.0.0.1") {
    SipInvite invite;
    invite.target = "sip:room@" + host + ":" + std::to_string(to.port());
    invite.offer = *make_offer(local(40000));
    invite.headers = {{"X-Conclave-Participant", "7;token"}};
    return invite;
  }

  test::TempFolder folder_;
  LabAuthority ca_{folder_, "lab"};
  LabAuthority other_ca_{folder_, "other"};
  Events at_service_, at_phone_;
};

TEST_F(SignallingTest, sets_up_and_ends_a_call_over_tls) {
  auto service_end = service("IP:127.0.0.1");
  auto phone_end = phone(ca_.ca_file());
  const auto invite = invitation(*service_end);
  const auto call = phone_end->invite(invite);
  ASSERT_TRUE(call.ok());

  const auto incoming = at_service_.wait(Kind::kIncoming);
  ASSERT_TRUE(incoming);
  EXPECT_THAT(incoming->to, testing::StartsWith("sip:room@127.0.0.1"));
  EXPECT_THAT(incoming->from, testing::StartsWith("sip:phone@"));
  EXPECT_EQ(incoming->peer_address, "127.0.0.1");
  ASSERT_EQ(incoming->headers.size(), 1u);
  EXPECT_EQ(incoming->headers[0].value, "7;token");
  ASSERT_TRUE(incoming->sdp);
  service_end->ring(incoming->call);
  EXPECT_TRUE(at_phone_.wait(Kind::kRinging));

  const auto answer = make_answer(*incoming->sdp, local(41000));
  ASSERT_TRUE(answer.ok());
  service_end->answer(incoming->call, answer->description, {{"X-Conclave-Room", "blue"}});
  const auto answered = at_phone_.wait(Kind::kAnswered);
  ASSERT_TRUE(answered && answered->sdp);
  ASSERT_EQ(answered->headers.size(), 1u);
  EXPECT_EQ(answered->headers[0].name, "X-Conclave-Room");
  const auto peer = accept_answer(invite.offer, *answered->sdp);
  ASSERT_TRUE(peer.ok());
  EXPECT_EQ(peer->port, 41000);
  EXPECT_EQ(*peer->local_key, *answer->peer.remote_key);
  EXPECT_EQ(*peer->remote_key, *answer->peer.local_key);
  ASSERT_TRUE(at_service_.wait(Kind::kEstablished));

  // In-dialog requests both ways; the service's come back over the phone's connection.
  phone_end->info(*call, "application/dtmf-relay", "Signal=5\r\n");
  const auto info = at_service_.wait(Kind::kInfo);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->content_type, "application/dtmf-relay");
  EXPECT_EQ(info->body, "Signal=5\r\n");
  service_end->info(incoming->call, "text/plain", "hello");
  ASSERT_TRUE(at_phone_.wait(Kind::kInfo));
  service_end->notify(incoming->call, "check-sync");
  const auto notify = at_phone_.wait(Kind::kNotify);
  ASSERT_TRUE(notify);
  EXPECT_EQ(notify->reason, "check-sync");

  service_end->hang_up(incoming->call);
  const auto ended = at_phone_.wait(Kind::kEnded);
  ASSERT_TRUE(ended);
  EXPECT_TRUE(ended->by_peer);
  const auto ended_there = at_service_.wait(Kind::kEnded);
  ASSERT_TRUE(ended_there);
  EXPECT_FALSE(ended_there->by_peer);
}

TEST_F(SignallingTest, hold_and_resume_by_reinvite) {
  auto service_end = service("IP:127.0.0.1");
  auto phone_end = phone(ca_.ca_file());
  auto invite = invitation(*service_end);
  const auto call = phone_end->invite(invite);
  const auto incoming = at_service_.wait(Kind::kIncoming);
  ASSERT_TRUE(incoming);
  auto answer = make_answer(*incoming->sdp, local(41000));
  service_end->answer(incoming->call, answer->description);
  ASSERT_TRUE(at_phone_.wait(Kind::kAnswered));
  ASSERT_TRUE(at_service_.wait(Kind::kEstablished));

  invite.offer.direction = Direction::kSendOnly;
  ++invite.offer.session_version;
  phone_end->reinvite(*call, invite.offer);
  const auto updated = at_service_.wait(Kind::kUpdated);
  ASSERT_TRUE(updated && updated->sdp);
  EXPECT_EQ(updated->sdp->direction, Direction::kSendOnly);
  answer = make_answer(*updated->sdp, local(41000));
  service_end->answer(incoming->call, answer->description);
  const auto again = at_phone_.wait(Kind::kAnswered);
  ASSERT_TRUE(again && again->sdp);
  EXPECT_EQ(again->sdp->direction, Direction::kRecvOnly);

  phone_end->hang_up(*call);
  const auto ended = at_service_.wait(Kind::kEnded);
  ASSERT_TRUE(ended);
  EXPECT_TRUE(ended->by_peer);
}

TEST_F(SignallingTest, refusal_carries_code_and_reason) {
  auto service_end = service("IP:127.0.0.1");
  auto phone_end = phone(ca_.ca_file());
  ASSERT_TRUE(phone_end->invite(invitation(*service_end)).ok());
  const auto incoming = at_service_.wait(Kind::kIncoming);
  ASSERT_TRUE(incoming);
  service_end->reject(incoming->call, 403, "Token Expired\r\nX-Forged: 1");
  const auto ended = at_phone_.wait(Kind::kEnded);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->code, 403);
  EXPECT_EQ(ended->reason, "Token ExpiredX-Forged: 1");
  EXPECT_TRUE(ended->by_peer);
}

TEST_F(SignallingTest, caller_gives_up) {
  auto service_end = service("IP:127.0.0.1");
  auto phone_end = phone(ca_.ca_file());
  const auto call = phone_end->invite(invitation(*service_end));
  const auto incoming = at_service_.wait(Kind::kIncoming);
  ASSERT_TRUE(incoming);
  service_end->ring(incoming->call);
  ASSERT_TRUE(at_phone_.wait(Kind::kRinging));
  phone_end->hang_up(*call);
  const auto ended = at_phone_.wait(Kind::kEnded);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->code, 487);
  const auto ended_there = at_service_.wait(Kind::kEnded);
  ASSERT_TRUE(ended_there);
  EXPECT_EQ(ended_there->code, 487);
  EXPECT_TRUE(ended_there->by_peer);
}

void expect_tls_refusal(Events& at_phone, Events& at_service, const char* why) {
  const auto ended = at_phone.wait(Kind::kEnded, 4s);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->code, 503);
  EXPECT_THAT(ended->detail, testing::HasSubstr(why));
  EXPECT_FALSE(at_service.wait(Kind::kIncoming, 300ms)) << "the INVITE, with its keys, got through";
}

TEST_F(SignallingTest, F134_a_server_of_an_unknown_ca_is_refused) {
  auto service_end = service("IP:127.0.0.1");
  auto phone_end = phone(other_ca_.ca_file());
  ASSERT_TRUE(phone_end->invite(invitation(*service_end)).ok());
  expect_tls_refusal(at_phone_, at_service_, "not trusted");
}
TEST_F(SignallingTest, F134_a_certificate_for_another_address_is_refused) {
  auto service_end = service("IP:127.0.0.2,DNS:localhost");
  auto phone_end = phone(ca_.ca_file());
  ASSERT_TRUE(phone_end->invite(invitation(*service_end)).ok());
  expect_tls_refusal(at_phone_, at_service_, "does not name 127.0.0.1");
}
TEST_F(SignallingTest, F134_the_common_name_does_not_count) {
  auto service_end = service("DNS:elsewhere.example", 30, "127.0.0.1");
  auto phone_end = phone(ca_.ca_file());
  ASSERT_TRUE(phone_end->invite(invitation(*service_end)).ok());
  expect_tls_refusal(at_phone_, at_service_, "does not name 127.0.0.1");
}
TEST_F(SignallingTest, F134_an_expired_certificate_is_refused) {
  auto service_end = service("IP:127.0.0.1", -1);
  auto phone_end = phone(ca_.ca_file());
  ASSERT_TRUE(phone_end->invite(invitation(*service_end)).ok());
  expect_tls_refusal(at_phone_, at_service_, "expired");
}
TEST_F(SignallingTest, host_names_are_matched) {
  auto service_end = service("DNS:localhost");
  auto phone_end = phone(ca_.ca_file());
  ASSERT_TRUE(phone_end->invite(invitation(*service_end, "localhost")).ok());
  EXPECT_TRUE(at_service_.wait(Kind::kIncoming));
}

TEST_F(SignallingTest, nobody_there_ends_the_call_soon) {
  auto phone_end = phone(ca_.ca_file());
  std::uint16_t gone = 0;
  {
    auto service_end = service("IP:127.0.0.1");
    gone = service_end->port();
  }
  SipInvite invite;
  invite.target = "sip:room@127.0.0.1:" + std::to_string(gone);
  invite.offer = *make_offer(local(40000));
  ASSERT_TRUE(phone_end->invite(invite).ok());
  const auto ended = at_phone_.wait(Kind::kEnded, 4s);
  ASSERT_TRUE(ended);
  EXPECT_GE(ended->code, 400);
  EXPECT_FALSE(ended->by_peer);
  EXPECT_FALSE(ended->detail.empty());
}

TEST_F(SignallingTest, dying_with_a_call_hangs_up) {
  auto service_end = service("IP:127.0.0.1");
  auto phone_end = phone(ca_.ca_file());
  ASSERT_TRUE(phone_end->invite(invitation(*service_end)).ok());
  const auto incoming = at_service_.wait(Kind::kIncoming);
  ASSERT_TRUE(incoming);
  service_end->answer(incoming->call, make_answer(*incoming->sdp, local(41000))->description);
  ASSERT_TRUE(at_service_.wait(Kind::kEstablished));
  const auto before = std::chrono::steady_clock::now();
  phone_end.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 2s);
  EXPECT_TRUE(at_service_.wait(Kind::kEnded));
}

TEST_F(SignallingTest, private_key_is_readable_by_its_owner_only) {
  auto service_end = service("IP:127.0.0.1");
  struct stat info {};
  ASSERT_EQ(stat(folder_.path("service/agent.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(stat(folder_.path("service").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(SignallingTest, wrong_configuration_is_explained) {
  const auto message = [&](auto change) {
    SignallingConfig config;
    config.bind_address = "127.0.0.1";
    config.folder = folder_.path("bad");
    config.ca_file = ca_.ca_file();
    change(config);
    auto made = create_signalling(config, at_phone_.handler());
    return made ? std::string("accepted") : made.error().message;
  };
  EXPECT_THAT(message([](auto& c) { c.bind_address = "localhost"; }),
              testing::HasSubstr("IP address"));
  EXPECT_THAT(message([](auto& c) { c.ca_file = ""; }), testing::HasSubstr("CA file"));
  EXPECT_THAT(message([](auto& c) { c.ca_file = "/nowhere/ca.pem"; }),
              testing::HasSubstr("/nowhere/ca.pem"));
  EXPECT_THAT(message([](auto& c) { c.certificate_file = "x"; }), testing::HasSubstr("together"));
  EXPECT_THAT(message([](auto& c) { c.user = "a b"; }), testing::HasSubstr("user"));
  EXPECT_THAT(message([](auto& c) { c.session_expires_s = 30; }), testing::HasSubstr("90"));
  // Key and certificate that do not belong together.
  const auto one = ca_.issue("one", "IP:127.0.0.1"), two = ca_.issue("two", "IP:127.0.0.1");
  EXPECT_THAT(message([&](auto& c) {
                c.certificate_file = one.certificate;
                c.key_file = two.key;
              }),
              testing::HasSubstr("certificate"));
  auto holder = service("IP:127.0.0.1");
  EXPECT_THAT(message([&](auto& c) { c.bind_port = holder->port(); }),
              testing::HasSubstr("in use"));
}

// The library gives up in the middle of its own start then, with TLS half made.
TEST_F(SignallingTest, a_port_in_use_is_told_and_the_next_start_works) {
  const int taken = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(taken, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(::bind(taken, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(taken, 1), 0);
  ASSERT_EQ(::getsockname(taken, reinterpret_cast<sockaddr*>(&address), &length), 0);
  const auto files = ca_.issue("server", "IP:127.0.0.1");
  SignallingConfig config;
  config.bind_address = "127.0.0.1";
  config.bind_port = ntohs(address.sin_port);
  config.user = "service";
  config.folder = folder_.path("service");
  config.certificate_file = files.certificate;
  config.key_file = files.key;
  for (int i = 0; i < 3; ++i) {
    const auto made = create_signalling(config, at_service_.handler());
    ASSERT_FALSE(made.ok());
    EXPECT_THAT(made.error().message, testing::HasSubstr(std::to_string(config.bind_port)));
    EXPECT_THAT(made.error().message, testing::HasSubstr("in use"));
  }
  ::close(taken);
  const auto made = create_signalling(config, at_service_.handler());
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ((*made)->port(), config.bind_port);
}

TEST_F(SignallingTest, headers_cannot_be_forged) {
  auto phone_end = phone(ca_.ca_file());
  SipInvite invite;
  invite.target = "sip:room@127.0.0.1:5061";
  invite.offer = *make_offer(local(40000));
  invite.headers = {{"X-A", "1\r\nX-B: 2"}};
  EXPECT_FALSE(phone_end->invite(invite).ok());
  invite.headers = {{"X A", "1"}};
  EXPECT_FALSE(phone_end->invite(invite).ok());
  invite.headers = {};
  invite.target = "sip:room@127.0.0.1\r\nX-B: 2";
  EXPECT_FALSE(phone_end->invite(invite).ok());
  invite.target = "room";
  EXPECT_FALSE(phone_end->invite(invite).ok());
}

}  // namespace
}  // namespace conclave::media
