// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A container's part of the OpenTelemetry resource. Pure. Names: the semantic conventions' registry
// (k8s.*, container.*); service.*: "Populating resources attributes in Kubernetes",
// https://opentelemetry.io/docs/specs/semconv/non-normative/k8s-attributes/.
#pragma once

#include <string>
#include <vector>

#include "agent/k8s/choice.h"
#include "agent/k8s/pod.h"
#include "agent/model/workload.h"

namespace zerospan::k8s {

struct AttributeOptions {
  std::string node_name{};
  std::string cluster_name{};
  std::vector<std::string> labels{};       // of pods: told as k8s.pod.label.KEY
  std::vector<std::string> annotations{};  // of pods: told as k8s.pod.annotation.KEY
  // service.name and service.version also from app.kubernetes.io/instance, /name and /version. The
  // convention asks for an opt-in.
  bool well_known_labels = false;
};

// Fills the workload's attributes and service name. `container` null: not known.
// `cluster_uid` empty: not known.
void add_attributes(const AttributeOptions& options, const Pod& pod, const PodOwners& owners,
                    const Container* container, const std::string& cluster_uid,
                    model::Workload& workload);

}  // namespace zerospan::k8s
