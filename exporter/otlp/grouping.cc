// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/otlp/grouping.h"

#include <unordered_map>

namespace zerospan::otlp {

std::vector<ResourceGroup> group_by_resource(std::span<const model::Span> spans) {
  std::vector<ResourceGroup> groups;
  std::unordered_map<uint64_t, size_t> by_id;
  size_t none = SIZE_MAX;
  const model::Resource* last = nullptr;
  size_t at = SIZE_MAX;
  for (const model::Span& span : spans) {
    const model::Resource* resource = span.resource.get();
    // Neighbours mostly come from one process.
    if (at == SIZE_MAX || resource != last) {
      size_t& known =
          resource == nullptr ? none : by_id.try_emplace(resource->id, SIZE_MAX).first->second;
      if (known == SIZE_MAX) {
        known = groups.size();
        groups.push_back({resource, {}});
      }
      at = known;
      last = resource;
    }
    groups[at].spans.push_back(&span);
  }
  return groups;
}

uint32_t span_flags(const model::Span& span) {
  constexpr uint32_t kSampled = 0x01;
  constexpr uint32_t kHasIsRemote = 0x100;
  constexpr uint32_t kIsRemote = 0x200;
  const bool remote = span.parent_is_remote && span.parent_span_id.valid();
  return (span.sampled ? kSampled : 0U) | kHasIsRemote | (remote ? kIsRemote : 0U);
}

}  // namespace zerospan::otlp
