// SPDX-License-Identifier: Apache-2.0
#include "dsp/neural/mask_net.h"

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "dsp/neural/mask_weights.h"
#include "dsp/transform/real_fft.h"

namespace conclave::dsp {
namespace {

constexpr int kDense = 112;
constexpr int kFirst = 128;
constexpr int kSecond = 96;
constexpr int kOutputs = 2 * MaskBands::kBands + 1;
constexpr std::uint32_t kMagic = 0x4B534D43;  // "CMSK"
constexpr std::uint32_t kVersion = 1;

// Features lie within -2 and 4; hidden values within -1 and 1.
constexpr float kFeatureScale = 4096.0F;
constexpr float kHiddenScale = 32767.0F;

using Values = Eigen::Map<Eigen::ArrayXf>;

int padded(int columns) { return (columns + 31) / 32 * 32; }

std::int32_t dot(const std::int8_t* __restrict w, const std::int16_t* __restrict x, int n) {
  std::int32_t sum = 0;
  for (int i = 0; i < n; ++i) {
    sum += static_cast<std::int32_t>(static_cast<std::int16_t>(w[i])) *
           static_cast<std::int32_t>(x[i]);
  }
  return sum;
}

void quantise(const float* from, std::int16_t* to, int count, float scale) {
  for (int i = 0; i < count; ++i) {
    to[i] = static_cast<std::int16_t>(
        static_cast<std::int32_t>(std::clamp(from[i] * scale, -32767.0F, 32767.0F)));
  }
}

}  // namespace

struct MaskNet::Reader {
  std::span<const std::uint8_t> rest;
  bool take(void* to, std::size_t bytes) {
    if (rest.size() < bytes) return false;
    std::memcpy(to, rest.data(), bytes);
    rest = rest.subspan(bytes);
    return true;
  }
};

MaskNet::MaskNet()
    : input16_(static_cast<std::size_t>(padded(MaskFeatures::kCount))),
      hidden16_(static_cast<std::size_t>(padded(kDense))),
      states16_(static_cast<std::size_t>(kFirst + kSecond)),
      hidden_(1, kDense),
      states_(2, std::max(kFirst, kSecond)),
      gates_(2, 3 * std::max(kFirst, kSecond)),
      answer_(1, kOutputs) {}

Status MaskNet::read(Reader& reader, Matrix& m, int rows, int columns, float activation) {
  m.rows = rows;
  m.columns = columns;
  m.stride = padded(columns);
  const auto count = static_cast<std::size_t>(rows);
  m.weights.assign(count * static_cast<std::size_t>(m.stride), 0);
  m.scale.resize(count);
  m.bias.resize(count);
  bool whole = reader.take(m.scale.data(), count * sizeof(float)) &&
               reader.take(m.bias.data(), count * sizeof(float));
  for (std::size_t r = 0; r < count && whole; ++r) {
    whole = reader.take(m.weights.data() + r * static_cast<std::size_t>(m.stride),
                        static_cast<std::size_t>(columns));
  }
  if (!whole) return Error{"weights of the learned mask: the file is cut off"};
  for (std::size_t r = 0; r < count; ++r) {
    if (!std::isfinite(m.scale[r]) || !std::isfinite(m.bias[r])) {
      return Error{"weights of the learned mask: a value is not finite"};
    }
    m.scale[r] /= activation;
  }
  return {};
}

Result<std::unique_ptr<MaskNet>> MaskNet::create() { return create(mask_weights()); }

Result<std::unique_ptr<MaskNet>> MaskNet::create(std::span<const std::uint8_t> weights) {
  Reader reader{weights};
  std::uint32_t head[7] = {};
  const std::uint32_t wanted[7] = {kMagic,  kVersion, MaskFeatures::kCount, kDense, kFirst,
                                   kSecond, kOutputs};
  if (!reader.take(head, sizeof head) || !std::equal(std::begin(head), std::end(head), wanted)) {
    return Error{
        "weights of the learned mask: not of this version and shape; make them with "
        "tools/training"};
  }
  std::unique_ptr<MaskNet> net(new MaskNet());
  CONCLAVE_CHECK_STATUS(read(reader, net->dense_, kDense, MaskFeatures::kCount, kFeatureScale));
  CONCLAVE_CHECK_STATUS(read(reader, net->first_in_, 3 * kFirst, kDense, kHiddenScale));
  CONCLAVE_CHECK_STATUS(read(reader, net->first_own_, 3 * kFirst, kFirst, kHiddenScale));
  CONCLAVE_CHECK_STATUS(read(reader, net->second_in_, 3 * kSecond, kFirst, kHiddenScale));
  CONCLAVE_CHECK_STATUS(read(reader, net->second_own_, 3 * kSecond, kSecond, kHiddenScale));
  CONCLAVE_CHECK_STATUS(read(reader, net->heads_, kOutputs, kFirst + kSecond, kHiddenScale));
  if (!reader.rest.empty()) return Error{"weights of the learned mask: more than they should be"};
  return net;
}

void MaskNet::reset() noexcept {
  states_.clear();
  std::ranges::fill(states16_, std::int16_t{0});
}

void MaskNet::multiply(const Matrix& m, const std::int16_t* x, float* out) noexcept {
  const std::int8_t* row = m.weights.data();
  for (int r = 0; r < m.rows; ++r, row += m.stride) {
    out[r] = static_cast<float>(dot(row, x, m.stride)) * m.scale[static_cast<std::size_t>(r)] +
             m.bias[static_cast<std::size_t>(r)];
  }
}

void MaskNet::recurrent(const Matrix& in, const Matrix& own, const std::int16_t* x, float* state,
                        std::int16_t* state16) noexcept {
  const int n = own.columns;
  multiply(in, x, gates_[0].data());
  multiply(own, state16, gates_[1].data());
  Values from_input(gates_[0].data(), 3 * n);
  Values from_state(gates_[1].data(), 3 * n);
  // Reset and update gate, sigmoid by tanh; then the candidate.
  from_input.head(2 * n) =
      0.5F + 0.5F * (0.5F * (from_input.head(2 * n) + from_state.head(2 * n))).tanh();
  from_input.tail(n) = (from_input.tail(n) + from_input.head(n) * from_state.tail(n)).tanh();
  Values h(state, n);
  h = from_input.tail(n) + from_input.segment(n, n) * (h - from_input.tail(n));
  quantise(state, state16, n, kHiddenScale);
}

MaskAnswer MaskNet::process(std::span<const float> features) noexcept {
  assert(features.size() == MaskFeatures::kCount);
  for (std::size_t i = 0; i < MaskFeatures::kCount; ++i) {
    const float x = std::isfinite(features[i]) ? features[i] * kFeatureScale : 0.0F;
    input16_[i] =
        static_cast<std::int16_t>(static_cast<std::int32_t>(std::clamp(x, -32767.0F, 32767.0F)));
  }
  multiply(dense_, input16_.data(), hidden_[0].data());
  Values hidden(hidden_[0].data(), kDense);
  hidden = hidden.tanh();
  quantise(hidden_[0].data(), hidden16_.data(), kDense, kHiddenScale);
  std::int16_t* first = states16_.data();
  std::int16_t* second = first + kFirst;
  recurrent(first_in_, first_own_, hidden16_.data(), states_[0].data(), first);
  recurrent(second_in_, second_own_, first, states_[1].data(), second);
  multiply(heads_, first, answer_[0].data());  // the two states lie side by side
  Values answer(answer_[0].data(), kOutputs);
  answer = 0.5F + 0.5F * (0.5F * answer).tanh();
  const std::span<const float> all = answer_[0];
  return {.echo_gain = all.subspan(0, MaskBands::kBands),
          .near_gain = all.subspan(MaskBands::kBands, MaskBands::kBands),
          .near_probability = all.back()};
}

Result<std::unique_ptr<LearnedMask>> LearnedMask::create(int sample_rate, int hop) {
  if ((sample_rate != 16000 && sample_rate != 48000) || hop * 100 != sample_rate) {
    return Error{"learned mask at " + std::to_string(sample_rate) + " Hz with a hop of " +
                 std::to_string(hop) + ": it knows 16000 and 48000 Hz and a hop of 10 ms"};
  }
  CONCLAVE_TRY(auto net, MaskNet::create());
  return std::unique_ptr<LearnedMask>(new LearnedMask(sample_rate, hop, std::move(net)));
}

LearnedMask::LearnedMask(int sample_rate, int hop, std::unique_ptr<MaskNet> net)
    : features_(sample_rate, hop), net_(std::move(net)), gains_(2, fft_size_for_hop(hop) / 2 + 1) {
  reset();
}

void LearnedMask::reset() noexcept {
  features_.reset();
  net_->reset();
  std::ranges::fill(gains_[0], 1.0F);
  std::ranges::fill(gains_[1], 1.0F);
  near_probability_ = 0;
}

void LearnedMask::process(std::span<const std::complex<float>> error,
                          std::span<const std::complex<float>> echo,
                          std::span<const std::complex<float>> far) noexcept {
  const MaskAnswer answer = net_->process(features_.process(error, echo, far));
  near_probability_ = answer.near_probability;
  spread(answer.echo_gain, gains_[0]);
  spread(answer.near_gain, gains_[1]);
}

void LearnedMask::spread(std::span<const float> bands, std::span<float> gain) const noexcept {
  features_.bands().spread(bands, gain);
  // Nothing was learned above; consonants and hiss go on as in the highest bands.
  constexpr std::size_t kHighest = 4;
  float mean = 0;
  for (const float g : bands.last(kHighest)) mean += g / kHighest;
  const auto from = std::min(gain.size(), static_cast<std::size_t>(features_.bands().bins()));
  std::ranges::fill(gain.subspan(from), mean);
}

}  // namespace conclave::dsp
