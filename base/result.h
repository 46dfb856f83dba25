// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace conclave {

/// What went wrong, for a person: a message that says what and what to do next, and, where the
/// error catalogue has an entry for it, that entry's id ("NET-953"). An empty id is a failure
/// without an entry.
struct Error {
  std::string message;
  std::string id{};
};

/// A value or an Error. Fallible functions of the control plane and every `create` return one;
/// nothing on the audio thread does.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    assert(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    assert(ok());
    return std::get<0>(state_);
  }
  T&& value() && {
    assert(ok());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    assert(!ok());
    return std::get<1>(state_);
  }
  T value_or(T fallback) const& { return ok() ? std::get<0>(state_) : std::move(fallback); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    assert(error_);
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace conclave

#define CONCLAVE_CONCAT_INNER(a, b) a##b
#define CONCLAVE_CONCAT(a, b) CONCLAVE_CONCAT_INNER(a, b)

/// CONCLAVE_TRY(auto x, f()): x = the value, or the enclosing function returns the error.
#define CONCLAVE_TRY(declaration, expression)                   \
  auto CONCLAVE_CONCAT(conclave_try_, __LINE__) = (expression); \
  if (!CONCLAVE_CONCAT(conclave_try_, __LINE__)) {              \
    return CONCLAVE_CONCAT(conclave_try_, __LINE__).error();    \
  }                                                             \
  declaration = std::move(*CONCLAVE_CONCAT(conclave_try_, __LINE__))

/// CONCLAVE_CHECK_STATUS(f()): the enclosing function returns f's error, if any.
#define CONCLAVE_CHECK_STATUS(expression)                        \
  do {                                                           \
    if (auto conclave_status = (expression); !conclave_status) { \
      return conclave_status.error();                            \
    }                                                            \
  } while (false)
