// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace conclave {

/// Deleter of a std::unique_ptr for what a C library gave: calls the function that belongs to it.
/// unique_ptr<BIO, FreeWith<BIO_free_all>>.
template <auto F>
struct FreeWith {
  template <typename T>
  void operator()(T* p) const {
    F(p);
  }
};

}  // namespace conclave
