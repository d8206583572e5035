// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The one configuration cut into the options of each stage. Pure.
#pragma once

#include "agent/app/pipeline.h"
#include "agent/config/config.h"
#include "agent/discovery/process_table.h"
#include "agent/k8s/cluster.h"
#include "agent/kernel/capture.h"
#include "agent/selfobs/logging.h"
#include "exporter/transport/exporter_options.h"

namespace zerospan::app {

inline constexpr const char* kVersion = ZEROSPAN_VERSION;

[[nodiscard]] uint32_t worker_count(const config::Config& config);
[[nodiscard]] kernel::CaptureOptions capture_options(const config::Config& config, uint64_t seed);
[[nodiscard]] Result<kernel::InjectionRules> injection_rules(const config::Config& config);
[[nodiscard]] kernel::TentativeCapture tentative_capture(const config::Config& config);
// `seed`: of the run's span ids.
[[nodiscard]] PipelineOptions pipeline_options(const config::Config& config, uint64_t seed);
[[nodiscard]] discovery::ProcessTableOptions process_table_options(const config::Config& config,
                                                                   const discovery::Host& host);
[[nodiscard]] k8s::ClusterOptions cluster_options(const config::Kubernetes& config);
[[nodiscard]] transport::ExporterOptions exporter_options(const config::Config& config);
[[nodiscard]] selfobs::log::Options log_options(const config::Config& config);

}  // namespace zerospan::app
