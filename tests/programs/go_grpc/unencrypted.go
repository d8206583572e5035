// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

//go:build go1.24

package main

import (
	"net"
	"net/http"
)

func serveUnencrypted(listener net.Listener, handler http.Handler) error {
	server := http.Server{Handler: handler, Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	server.Protocols.SetHTTP1(true)
	return server.Serve(listener)
}
