// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

//go:build server

package main

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

func init() {
	aroundServer = func(handler http.Handler) http.Handler { return otelhttp.NewHandler(handler, "serve") }
}
