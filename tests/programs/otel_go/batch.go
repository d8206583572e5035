// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

//go:build batch

package main

import sdk "go.opentelemetry.io/otel/sdk/trace"

func init() {
	newProcessor = func(exporter sdk.SpanExporter) sdk.SpanProcessor { return sdk.NewBatchSpanProcessor(exporter) }
}
