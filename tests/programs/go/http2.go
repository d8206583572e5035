// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

//go:build go1.24

package main

import (
	"net"
	"net/http"
)

// HTTP/2 without TLS, by prior knowledge.
func init() {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	serveHTTP2 = func(listener net.Listener, handler http.Handler) error {
		return (&http.Server{Handler: handler, Protocols: &protocols}).Serve(listener)
	}
	transportHTTP2 = &http.Transport{Protocols: &protocols}
}
