// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

//go:build client

package main

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

func init() {
	aroundClient = func(transport http.RoundTripper) http.RoundTripper { return otelhttp.NewTransport(transport) }
}
