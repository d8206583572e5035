// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/choice.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

namespace zerospan::k8s {
namespace {

constexpr std::string_view kEnabled = "enabled";
constexpr std::string_view kDisabled = "disabled";

std::string_view find(const TextMap& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? std::string_view{} : std::string_view(found->second);
}

bool matches(const std::string& glob, std::string_view text) {
  return ::fnmatch(glob.c_str(), std::string(text).c_str(), 0) == 0;
}

bool any_matches(const std::vector<std::string>& globs, std::string_view text) {
  return globs.empty() || std::any_of(globs.begin(), globs.end(),
                                      [&](const std::string& glob) { return matches(glob, text); });
}

enum class Answer : uint8_t { kNo, kUnknown, kYes };

Answer owned(const PodSelector& selector, const PodOwners& owners, bool owners_known) {
  if (selector.owner_kind.empty() && selector.owner_name.empty()) {
    return Answer::kYes;
  }
  const auto fits = [&](const std::optional<Owner>& owner) {
    return owner && (selector.owner_kind.empty() || owner->kind == selector.owner_kind) &&
           (selector.owner_name.empty() || matches(selector.owner_name, owner->name));
  };
  if (fits(owners.controller) || fits(owners.top)) {
    return Answer::kYes;
  }
  return owners_known ? Answer::kNo : Answer::kUnknown;
}

Answer match(const PodSelector& selector, const Pod& pod, const PodOwners& owners,
             bool owners_known, std::string_view container) {
  if (!any_matches(selector.namespaces, pod.namespace_name) ||
      !std::all_of(selector.pod_labels.begin(), selector.pod_labels.end(), [&](const auto& label) {
        const auto found = pod.labels.find(label.first);
        return found != pod.labels.end() && matches(label.second, found->second);
      })) {
    return Answer::kNo;
  }
  if (!selector.containers.empty()) {
    if (container.empty()) {
      return Answer::kUnknown;
    }
    if (!any_matches(selector.containers, container)) {
      return Answer::kNo;
    }
  }
  return owned(selector, owners, owners_known);
}

}  // namespace

std::optional<Choice> choose(const ChoiceOptions& options, const Pod& pod, const PodOwners& owners,
                             bool owners_known, const TextMap* namespace_labels,
                             std::string_view container) {
  const std::string& key = options.opt_in_label;
  const std::string_view annotation = find(pod.annotations, key);
  const std::string_view label = find(pod.labels, key);
  if (annotation == kDisabled || label == kDisabled) {
    return Choice{false, fmt::format("its pod says {}: disabled", key)};
  }
  if (annotation == kEnabled || label == kEnabled) {
    return Choice{true, fmt::format("its pod says {}: enabled", key)};
  }
  bool unknown = false;
  for (size_t i = 0; i < options.selectors.size(); ++i) {
    switch (match(options.selectors[i], pod, owners, owners_known, container)) {
      case Answer::kYes:
        return Choice{true, fmt::format("kubernetes.selectors[{}] matches its pod", i)};
      case Answer::kUnknown:
        unknown = true;
        break;
      case Answer::kNo:
        break;
    }
  }
  if (namespace_labels == nullptr) {
    return std::nullopt;
  }
  if (find(*namespace_labels, key) == kEnabled) {
    return Choice{true, fmt::format("namespace {} says {}: enabled", pod.namespace_name, key)};
  }
  if (unknown) {
    return std::nullopt;
  }
  return Choice{false, fmt::format("nothing chooses its pod {}/{}", pod.namespace_name, pod.name)};
}

}  // namespace zerospan::k8s
