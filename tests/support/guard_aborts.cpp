// SPDX-License-Identifier: Apache-2.0
// Linked into every test program: a real-time violation ends the test with its stack.
#include "base/realtime.h"

namespace {
const bool armed = [] {
  conclave::realtime::on_violation(conclave::realtime::OnViolation::kAbort);
  return true;
}();
}  // namespace
