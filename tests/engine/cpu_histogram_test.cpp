// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu_histogram.h"

#include <gtest/gtest.h>

namespace conclave::engine {
namespace {

TEST(CpuHistogram, tells_percentiles_within_a_bucket) {
  CpuHistogram histogram;
  EXPECT_EQ(histogram.percentile(0.5F), 0.0F);
  for (int us = 1; us <= 1000; ++us) histogram.add(static_cast<float>(us) - 0.5F);
  EXPECT_NEAR(histogram.percentile(0.5F), 500.0F, 1.0F);
  EXPECT_NEAR(histogram.percentile(0.99F), 990.0F, 1.0F);
  EXPECT_EQ(histogram.max_us(), 999.5F);
  histogram.add(9030.0F);
  EXPECT_NEAR(histogram.percentile(1.0F), 9030.0F, 50.0F);
}

TEST(CpuHistogram, survives_absurd_values) {
  CpuHistogram histogram;
  histogram.add(-5.0F);
  histogram.add(1e9F);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.max_us(), 1e9F);
  histogram.clear();
  EXPECT_EQ(histogram.count(), 0u);
}

}  // namespace
}  // namespace conclave::engine
