// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Errors as values. A function that can fail for a reason outside the program returns Result<T>;
// exceptions do not cross a folder's boundary.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace zerospan {

enum class ErrorCode {
  kInvalidArgument,  // the operator's input is wrong: say where, and what was expected
  kNotFound,
  kPermission,   // a privilege is missing: say which
  kUnsupported,  // this kernel or build cannot: say what is lost
  kUnavailable,  // may work later: a retry makes sense
  kMalformed,    // bytes that do not follow their format
  kInternal,
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // a whole sentence for the operator: what, where, what to do

  // The same error with what was being attempted in front: "reading FILE: " + message.
  [[nodiscard]] Error with_context(std::string_view context) const {
    return Error{code, std::string(context) + ": " + message};
  }
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

// An error from errno, as "CONTEXT: strerror". EPERM and EACCES become kPermission, ENOENT and
// ESRCH kNotFound, EAGAIN and ECONNREFUSED kUnavailable, ENOTSUP, ENOSYS kUnsupported; the rest is
// kInternal.
[[nodiscard]] Error error_from_errno(int error_number, std::string_view context);

}  // namespace zerospan
