// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

//go:build !go1.24

package main

import (
	"errors"
	"net"
	"net/http"
)

func serveUnencrypted(net.Listener, http.Handler) error {
	return errors.New("Go has this since 1.24")
}
