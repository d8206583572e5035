// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Looks names up by Go's own resolver. "serve": an HTTP server whose handlers look up the name that
// their query has, one after the other or (path /two) from two goroutines of their own.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
)

var resolver = net.Resolver{PreferGo: true}

func look(name string) {
	addresses, err := resolver.LookupHost(context.Background(), name)
	fmt.Println(name, len(addresses), err)
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Query().Get("id")
		names := []string{"first-" + id + ".zerospan.test.", "second-" + id + ".zerospan.test."}
		var group sync.WaitGroup
		for _, name := range names {
			if r.URL.Path != "/two" {
				resolver.LookupHost(r.Context(), name)
				continue
			}
			group.Add(1)
			go func() {
				defer group.Done()
				resolver.LookupHost(r.Context(), name)
			}()
		}
		group.Wait()
		fmt.Fprintln(w, id)
	})
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, nil))
}

func main() {
	if os.Args[1] == "serve" {
		serve()
	}
	for _, name := range os.Args[1:] {
		look(name)
	}
}
