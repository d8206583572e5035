// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Input: the text of a config file. It is refused with a sentence or gives a config within bounds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "agent/config/loader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  zerospan::config::Sources sources;
  sources.file_name = "fuzz.yaml";
  sources.yaml.assign(reinterpret_cast<const char*>(data), size);
  const auto config = zerospan::config::load(sources);
  if (!config ? config.error().message.find("fuzz.yaml") == std::string::npos
              : config->capture.head_bytes < 256 || config->capture.head_bytes > 8192 ||
                    config->exporter.batch_size > config->exporter.queue_size) {
    std::abort();
  }
  return 0;
}
