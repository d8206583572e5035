// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <nlohmann/json.hpp>

#include "agent/app/agent.h"

namespace zerospan::app {

std::string encode_process(uint32_t pid, const Process& process) {
  const model::Resource& resource = *process.resource;
  nlohmann::json attributes = nlohmann::json::array();
  for (const model::ResourceAttribute& attribute : resource.attributes) {
    std::visit(
        [&](const auto& value) {
          attributes.push_back({attribute.key, value});
        },
        attribute.value);
  }
  // Bytes of a process's environment need not be UTF-8.
  nlohmann::json json{{"pid", pid}, {"resource_id", resource.id}, {"attributes", attributes}};
  if (process.sdk.makes != 0) {
    json["sdk_makes"] = process.sdk.makes;
    json["sdk_sends_context"] = process.sdk.sends_context;
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<RecordedProcess> decode_process(std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  const auto malformed = [] {
    return fail(ErrorCode::kMalformed, "the recording has a malformed process entry");
  };
  if (!json.is_object() || !json.contains("pid") || !json["pid"].is_number_unsigned() ||
      !json.contains("resource_id") || !json["resource_id"].is_number_unsigned() ||
      !json.contains("attributes") || !json["attributes"].is_array()) {
    return malformed();
  }
  auto resource = std::make_shared<model::Resource>();
  resource->id = json["resource_id"].get<uint64_t>();
  for (const nlohmann::json& entry : json["attributes"]) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string()) {
      return malformed();
    }
    model::ResourceAttribute attribute{entry[0].get<std::string>(), {}};
    const nlohmann::json& value = entry[1];
    if (value.is_string()) {
      attribute.value = value.get<std::string>();
    } else if (value.is_boolean()) {
      attribute.value = value.get<bool>();
    } else if (value.is_number_integer()) {
      attribute.value = value.get<int64_t>();
    } else if (value.is_number_float()) {
      attribute.value = value.get<double>();
    } else if (value.is_array()) {
      std::vector<std::string> texts;
      for (const nlohmann::json& text_value : value) {
        if (!text_value.is_string()) {
          return malformed();
        }
        texts.push_back(text_value.get<std::string>());
      }
      attribute.value = std::move(texts);
    } else {
      return malformed();
    }
    resource->attributes.push_back(std::move(attribute));
  }
  Process process(std::move(resource));
  if (json.contains("sdk_makes")) {
    if (!json["sdk_makes"].is_number_unsigned() || !json.contains("sdk_sends_context") ||
        !json["sdk_sends_context"].is_boolean()) {
      return malformed();
    }
    process.sdk = {json["sdk_makes"].get<SpanClasses>(), json["sdk_sends_context"].get<bool>()};
  }
  return RecordedProcess{json["pid"].get<uint32_t>(), std::move(process)};
}

}  // namespace zerospan::app
