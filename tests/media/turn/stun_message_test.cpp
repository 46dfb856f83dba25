// SPDX-License-Identifier: Apache-2.0
#include "media/turn/stun_message.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace conclave::media::turn {
namespace {

std::vector<std::uint8_t> bytes_of(const std::string& hex) {
  std::vector<std::uint8_t> out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return out;
}
std::span<const std::uint8_t> key_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// RFC 5769, 2.1 and 2.2 (short-term credentials, password as key).
const std::string kPassword = "VOkJxbRl1RmTxUk/WvJxBt";
const std::string kRequest =
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";
const std::string kResponse =
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96";

TEST(Stun, test_vectors_of_RFC_5769) {
  const auto request = bytes_of(kRequest);
  const auto parsed = parse_stun(request);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->method, Method::kBinding);
  EXPECT_EQ(parsed->kind, Class::kRequest);
  EXPECT_EQ(parsed->text(kUsername), "evtj:h6vY");
  EXPECT_TRUE(verify_integrity(request, key_of(kPassword)));
  EXPECT_FALSE(verify_integrity(request, key_of("wrong")));
  const auto response = bytes_of(kResponse);
  const auto answer = parse_stun(response);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->kind, Class::kSuccess);
  EXPECT_EQ(answer->address(kXorMappedAddress), (TransportAddress{"192.0.2.1", 32853}));
  EXPECT_TRUE(verify_integrity(response, key_of(kPassword)));
}

TEST(Stun, what_is_built_is_read_again) {
  for (const auto method : {Method::kAllocate, Method::kRefresh, Method::kChannelBind,
                            Method::kConnectionBind, Method::kCreatePermission}) {
    for (const auto kind : {Class::kRequest, Class::kSuccess, Class::kError, Class::kIndication}) {
      StunMessage m;
      m.method = method;
      m.kind = kind;
      m.transaction = *new_transaction();
      m.add_text(kRealm, "r");
      m.add_number(kLifetime, 600);
      ASSERT_TRUE(m.add_address(kXorPeerAddress, {"2001:db8::1", 4711}));
      ASSERT_FALSE(m.add_address(kXorPeerAddress, {"name", 1}));
      const auto key = long_term_key("user", "realm", "pass");
      const auto raw = build_stun(m, key);
      const auto read = parse_stun(raw);
      ASSERT_TRUE(read.ok());
      EXPECT_EQ(read->method, method);
      EXPECT_EQ(read->kind, kind);
      EXPECT_EQ(read->transaction, m.transaction);
      EXPECT_EQ(read->text(kRealm), "r");
      EXPECT_EQ(read->number(kLifetime), 600u);
      EXPECT_EQ(read->address(kXorPeerAddress), (TransportAddress{"2001:db8::1", 4711}));
      EXPECT_TRUE(read->integrity);
      EXPECT_TRUE(verify_integrity(raw, key));
    }
  }
}

TEST(Stun, damaged_messages_are_refused_and_none_goes_out_of_bounds) {
  const auto good = bytes_of(kRequest);
  // Each single bit is covered by integrity or fingerprint, but for what makes the last attribute a
  // fingerprint: what follows the integrity is left out when it is none.
  const std::size_t type_at = (good.size() - 8) * 8;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    if (bit >= type_at && bit < type_at + 16) continue;
    auto bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    const auto parsed = parse_stun(bad);
    EXPECT_FALSE(parsed.ok() && parsed->integrity && verify_integrity(bad, key_of(kPassword)))
        << bit;
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_stun(std::span(good).first(size)).ok()) << size;
  }
  std::minstd_rand random(7);
  for (int i = 0; i < 20000; ++i) {
    auto bad = good;
    bad.resize(20 + random() % 120, static_cast<std::uint8_t>(random()));
    for (int k = 0; k < 4 && bad.size() > 20; ++k) {
      bad[20 + random() % (bad.size() - 20)] = static_cast<std::uint8_t>(random());
    }
    bad[2] = static_cast<std::uint8_t>((bad.size() - 20) >> 8);
    bad[3] = static_cast<std::uint8_t>(bad.size() - 20);
    if (const auto parsed = parse_stun(bad)) {
      parsed->address(kXorMappedAddress);
      parsed->error_code();
      parsed->text(kNonce);
    }
    verify_integrity(bad, key_of(kPassword));
  }
}

TEST(Stun, error_codes) {
  StunMessage m;
  m.add(kErrorCode, std::array<std::uint8_t, 4>{0, 0, 4, 38});
  EXPECT_EQ(m.error_code(), 438);
  for (const auto& bad : {std::vector<std::uint8_t>{0, 0, 4}, {0, 0, 4, 100}, {0, 0, 1, 0}}) {
    StunMessage other;
    other.add(kErrorCode, bad);
    EXPECT_EQ(other.error_code(), 0);
  }
  EXPECT_EQ(StunMessage{}.error_code(), 0);
}

TEST(StreamSplitter, cuts_a_stream_whatever_its_pieces) {
  const auto message = bytes_of(kRequest);
  std::vector<std::uint8_t> stream;
  std::array<std::uint8_t, 64> channel{};
  const std::array<std::uint8_t, 5> payload{1, 2, 3, 4, 5};
  const std::size_t size = write_channel_data(0x4001, payload, channel);
  ASSERT_EQ(size, 12u);  // padded, as over TCP it must be
  for (int i = 0; i < 3; ++i) {
    stream.insert(stream.end(), message.begin(), message.end());
    stream.insert(stream.end(), channel.begin(), channel.begin() + 12);
  }
  for (const std::size_t piece : {1U, 3U, 7U, 64U, 1000U}) {
    StreamSplitter splitter;
    int messages = 0, datas = 0;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      const std::size_t n = std::min(piece, stream.size() - at);
      std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(at), n, splitter.room().begin());
      splitter.grown(n);
      while (const auto unit = splitter.next()) {
        if (unit->channel == 0) {
          EXPECT_TRUE(parse_stun(unit->bytes).ok());
          ++messages;
        } else {
          EXPECT_EQ(unit->channel, 0x4001);
          EXPECT_TRUE(
              std::equal(payload.begin(), payload.end(), unit->bytes.begin(), unit->bytes.end()));
          ++datas;
        }
      }
    }
    EXPECT_EQ(messages, 3) << piece;
    EXPECT_EQ(datas, 3) << piece;
    EXPECT_FALSE(splitter.broken());
  }
  for (const char* bad : {"ffff0000", "80000000", "40000fff", "0001ffff", "48545450"}) {
    StreamSplitter splitter;
    const auto bytes = bytes_of(bad);
    std::copy(bytes.begin(), bytes.end(), splitter.room().begin());
    splitter.grown(bytes.size());
    EXPECT_FALSE(splitter.next().has_value());
    EXPECT_TRUE(splitter.broken()) << bad;
  }
}

}  // namespace
}  // namespace conclave::media::turn
