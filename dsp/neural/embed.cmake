# SPDX-License-Identifier: Apache-2.0
# cmake -DIN=weights.bin -DOUT=weights.cpp -P embed.cmake: a file as a constant of the program.
file(READ ${IN} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR bytes "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE ${OUT}
"// Made from ${IN} by dsp/neural/embed.cmake.
#include \"dsp/neural/mask_weights.h\"
namespace conclave::dsp {
namespace {
alignas(64) constexpr std::uint8_t kWeights[${bytes}] = {
${hex}};
}
std::span<const std::uint8_t> mask_weights() noexcept { return kWeights; }
}  // namespace conclave::dsp
")
