// SPDX-License-Identifier: Apache-2.0
#include "media/srtp/srtp_session.h"

#include <openssl/crypto.h>
#include <srtp2/srtp.h>

#include <algorithm>
#include <array>
#include <climits>

namespace conclave::media {
namespace {

bool library_ready() {
  static const bool ready = srtp_init() == srtp_err_status_ok;
  return ready;
}

void set_suite(SrtpSuite suite, srtp_crypto_policy_t& policy) {
  switch (suite) {
    case SrtpSuite::kAeadAes256Gcm:
      return srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy);
    case SrtpSuite::kAesCm256HmacSha1_80:
      return srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy);
    case SrtpSuite::kAeadAes128Gcm:
      return srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy);
    case SrtpSuite::kAesCm128HmacSha1_80:
      return srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy);
  }
}

Status open(srtp_t& session, const SrtpKey& key, srtp_ssrc_type_t type) {
  srtp_policy_t policy{};
  set_suite(key.suite(), policy.rtp);
  set_suite(key.suite(), policy.rtcp);
  std::array<unsigned char, SrtpKey::kMaxBytes> bytes{};
  std::copy(key.bytes().begin(), key.bytes().end(), bytes.begin());
  policy.key = bytes.data();
  policy.ssrc.type = type;
  policy.window_size = 1024;
  policy.allow_repeat_tx = 0;
  const auto status = srtp_create(&session, &policy);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  if (status != srtp_err_status_ok) {
    return Error{"libsrtp cannot use " + std::string(suite_name(key.suite())) + " (status " +
                 std::to_string(status) + ")"};
  }
  return {};
}

SrtpSession::Outcome outcome(srtp_err_status_t status) {
  switch (status) {
    case srtp_err_status_ok:
      return SrtpSession::Outcome::kOk;
    case srtp_err_status_replay_fail:
    case srtp_err_status_replay_old:
      return SrtpSession::Outcome::kReplayed;
    case srtp_err_status_bad_param:
    case srtp_err_status_parse_err:
      return SrtpSession::Outcome::kMalformed;
    default:
      return SrtpSession::Outcome::kForged;
  }
}

}  // namespace

struct SrtpSession::State {
  srtp_t send = nullptr;
  srtp_t receive = nullptr;
  ~State() {
    // libsrtp wipes its copies of the keys here.
    if (send != nullptr) srtp_dealloc(send);
    if (receive != nullptr) srtp_dealloc(receive);
  }
};

SrtpSession::SrtpSession(std::unique_ptr<State> state) : state_(std::move(state)) {}
SrtpSession::~SrtpSession() = default;

Result<std::unique_ptr<SrtpSession>> SrtpSession::create(const SrtpKey& local,
                                                         const SrtpKey& remote) {
  if (!library_ready()) return Error{"libsrtp failed its self-test"};
  if (local.suite() != remote.suite()) return Error{"the two SRTP keys are of different suites"};
  auto state = std::make_unique<State>();
  CONCLAVE_CHECK_STATUS(open(state->send, local, ssrc_any_outbound));
  CONCLAVE_CHECK_STATUS(open(state->receive, remote, ssrc_any_inbound));
  return std::unique_ptr<SrtpSession>(new SrtpSession(std::move(state)));
}

std::size_t SrtpSession::protect_rtp(std::span<std::uint8_t> buffer, std::size_t size) noexcept {
  if (size + kTrailerBytes > buffer.size()) return 0;
  int length = static_cast<int>(size);
  if (srtp_protect(state_->send, buffer.data(), &length) != srtp_err_status_ok) return 0;
  return static_cast<std::size_t>(length);
}

std::size_t SrtpSession::protect_rtcp(std::span<std::uint8_t> buffer, std::size_t size) noexcept {
  if (size + kTrailerBytes > buffer.size()) return 0;
  int length = static_cast<int>(size);
  if (srtp_protect_rtcp(state_->send, buffer.data(), &length) != srtp_err_status_ok) return 0;
  return static_cast<std::size_t>(length);
}

SrtpSession::Outcome SrtpSession::unprotect_rtp(std::span<std::uint8_t> buffer,
                                                std::size_t& size) noexcept {
  if (size < 12 || size > buffer.size() || size > INT_MAX) return Outcome::kMalformed;
  int length = static_cast<int>(size);
  const auto result = outcome(srtp_unprotect(state_->receive, buffer.data(), &length));
  if (result == Outcome::kOk) size = static_cast<std::size_t>(length);
  return result;
}

SrtpSession::Outcome SrtpSession::unprotect_rtcp(std::span<std::uint8_t> buffer,
                                                 std::size_t& size) noexcept {
  if (size < 8 || size > buffer.size() || size > INT_MAX) return Outcome::kMalformed;
  int length = static_cast<int>(size);
  const auto result = outcome(srtp_unprotect_rtcp(state_->receive, buffer.data(), &length));
  if (result == Outcome::kOk) size = static_cast<std::size_t>(length);
  return result;
}

}  // namespace conclave::media
