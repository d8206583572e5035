// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/transport/pem_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "agent/core/unique_fd.h"

namespace zerospan::transport {
namespace {

constexpr size_t kMaxPemBytes = 1U << 20U;

Status read_pem(std::string_view what, const std::string& path, std::string& out) {
  if (path.empty()) {
    return {};
  }
  const auto failed = [&](int error_number) {
    return tl::unexpected(error_from_errno(
        error_number, fmt::format("reading the OTLP {} '{}' (PEM file)", what, path)));
  };
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    return failed(errno);
  }
  std::array<char, 4096> part{};
  for (;;) {
    const ssize_t count = ::read(file.get(), part.data(), part.size());
    if (count < 0) {
      return failed(errno);
    }
    if (count == 0 || out.size() > kMaxPemBytes) {
      break;
    }
    out.append(part.data(), static_cast<size_t>(count));
  }
  if (out.find("-----BEGIN ") == std::string::npos || out.size() > kMaxPemBytes) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the OTLP {} '{}' is not a PEM file; it needs a block that starts with "
                            "-----BEGIN, and at most 1 MiB",
                            what, path));
  }
  return {};
}

}  // namespace

Result<PemFiles> read_pem_files(const ExporterOptions& options) {
  if (options.client_certificate_path.empty() != options.client_key_path.empty()) {
    return fail(
        ErrorCode::kInvalidArgument,
        "OTLP with a client certificate (mTLS) needs both the certificate and its key; only "
        "one of the two files is set");
  }
  PemFiles files;
  Status status =
      read_pem("certificate of the authority", options.ca_certificate_path, files.ca_certificate)
          .and_then([&] {
            return read_pem("client certificate", options.client_certificate_path,
                            files.client_certificate);
          })
          .and_then(
              [&] { return read_pem("client key", options.client_key_path, files.client_key); });
  if (!status) {
    return tl::unexpected(status.error());
  }
  return files;
}

}  // namespace zerospan::transport
