// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Whether a container of a pod is to be traced: rules against facts. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/k8s/pod.h"

namespace zerospan::k8s {

// A container matches when all conditions that are given hold. Globs are fnmatch(3) without flags.
struct PodSelector {
  std::vector<std::string> namespaces{};                          // globs; one of them
  std::string owner_kind{};                                       // "Deployment", as the API has it
  std::string owner_name{};                                       // glob
  std::vector<std::pair<std::string, std::string>> pod_labels{};  // key, and the value as a glob
  std::vector<std::string> containers{};                          // globs; one of them

  bool operator==(const PodSelector&) const = default;
};

struct ChoiceOptions {
  // On a namespace, and on a pod as label or annotation, which is stronger; values "enabled" and
  // "disabled".
  std::string opt_in_label = "zerospan.io/instrument";
  std::vector<PodSelector> selectors{};
};

struct Choice {
  bool chosen = false;
  std::string reason;  // for the operator, without a full stop
};

// What an owner is looked for under: the pod's controller, or that one's.
struct PodOwners {
  std::optional<Owner> controller;
  std::optional<Owner> top;  // of a ReplicaSet its Deployment, of a Job its CronJob
};

// In this order: what the pod itself says; the selectors; what the namespace says. No value other
// than "enabled" and "disabled" says anything. `namespace_labels` null: not known (yet);
// `container` empty: not known. nullopt if the answer depends on what is not known.
[[nodiscard]] std::optional<Choice> choose(const ChoiceOptions& options, const Pod& pod,
                                           const PodOwners& owners, bool owners_known,
                                           const TextMap* namespace_labels,
                                           std::string_view container);

}  // namespace zerospan::k8s
