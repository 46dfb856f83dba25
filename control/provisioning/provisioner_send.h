// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "control/provisioning/provisioner.h"
#include "control/rpc/dispatcher.h"

namespace conclave::control {

/// The answer comes on the loop, and only as long as `round` has the number that it has now. Of use
/// to the parts of Provisioner alone.
template <typename F>
std::uint64_t Provisioner::send(RestRequest&& request, const std::shared_ptr<int>& round,
                                F on_loop) {
  return parts_.client->send(
      std::move(request), [loop = parts_.loop, round, now = *round,
                           on_loop = std::move(on_loop)](RestResponse response) mutable {
        loop->post([round, now, on_loop, response = std::move(response)]() mutable {
          if (*round == now) on_loop(std::move(response));
        });
      });
}

}  // namespace conclave::control
