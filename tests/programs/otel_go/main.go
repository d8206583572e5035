// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A Go program that carries an OpenTelemetry SDK, and prints the spans that it makes as JSON, one a line:
//
//	otel_go on|off BACKEND    prints "listening PORT"; a request for a target asks BACKEND for the same
//
// Build tags say what is linked: server and client instrumentation, the batch or the simple span processor, a
// propagator. "off": all that is linked but not set up, as large programs have it that are not configured to trace.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// What the other files put in.
var (
	aroundServer   = func(handler http.Handler) http.Handler { return handler }
	aroundClient   = func(transport http.RoundTripper) http.RoundTripper { return transport }
	newProcessor   func(exporter sdk.SpanExporter) sdk.SpanProcessor
	setPropagation = func() {}
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	backend := os.Args[2]
	provider := sdk.NewTracerProvider()
	if os.Args[1] == "on" {
		exporter, err := stdouttrace.New()
		check(err)
		provider.RegisterSpanProcessor(newProcessor(exporter))
		otel.SetTracerProvider(provider)
		setPropagation()
	}
	client := &http.Client{Transport: aroundClient(http.DefaultTransport)}
	handler := aroundServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), "GET", backend+r.URL.RequestURI(), nil)
		check(err)
		response, err := client.Do(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		check(err)
		w.Write(body)
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{Handler: handler}
	go server.Serve(listener)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
	check(server.Shutdown(context.Background()))
	check(provider.Shutdown(context.Background()))
	fmt.Println("done")
}
