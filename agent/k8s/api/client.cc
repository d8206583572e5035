// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/api/client.h"

#include <nlohmann/json.hpp>

namespace zerospan::k8s {

Result<std::unique_ptr<Client>> Client::start(ApiServerOptions, std::vector<Collection>,
                                              Observer&) {
  return fail(ErrorCode::kUnsupported, "not written yet");
}

}  // namespace zerospan::k8s
