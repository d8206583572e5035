// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Certificates and keys from the files that the options name.
#pragma once

#include <string>

#include "agent/core/result.h"
#include "exporter/transport/exporter_options.h"

namespace zerospan::transport {

struct PemFiles {
  std::string ca_certificate;  // each is empty when the options name no file
  std::string client_certificate;
  std::string client_key;
};

// Reads them, and says which file is missing, unreadable or not PEM.
[[nodiscard]] Result<PemFiles> read_pem_files(const ExporterOptions& options);

}  // namespace zerospan::transport
