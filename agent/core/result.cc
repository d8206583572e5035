// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/core/result.h"

#include <cerrno>
#include <system_error>

namespace zerospan {

Error error_from_errno(int error_number, std::string_view context) {
  ErrorCode code = ErrorCode::kInternal;
  switch (error_number) {
    case EPERM:
    case EACCES:
      code = ErrorCode::kPermission;
      break;
    case ENOENT:
    case ESRCH:
      code = ErrorCode::kNotFound;
      break;
    case EAGAIN:
    case ECONNREFUSED:
      code = ErrorCode::kUnavailable;
      break;
    case ENOTSUP:
    case ENOSYS:
      code = ErrorCode::kUnsupported;
      break;
    default:
      break;
  }
  return Error{code, std::string(context) + ": " +
                         std::error_code(error_number, std::generic_category()).message()};
}

}  // namespace zerospan
