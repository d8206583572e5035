// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Looks names up by Go's own resolver. "load" and a number: so many, 16 at once. "serve": an HTTP server whose handlers look up the name that
// their query has, one after the other or (path /two) from two goroutines of their own.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
)

var resolver = net.Resolver{PreferGo: true}

func look(name string) {
	addresses, err := resolver.LookupHost(context.Background(), name)
	fmt.Println(name, len(addresses), err)
}

func load(count int) {
	var group sync.WaitGroup
	names := make(chan string)
	for range 16 {
		group.Add(1)
		go func() {
			defer group.Done()
			for name := range names {
				resolver.LookupHost(context.Background(), name)
			}
		}()
	}
	for i := range count {
		names <- fmt.Sprintf("load%d.zerospan.test.", i)
	}
	close(names)
	group.Wait()
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
	switch os.Args[1] {
	case "serve":
		serve()
	case "load":
		count, err := strconv.Atoi(os.Args[2])
		if err != nil {
			panic(err)
		}
		load(count)
		return
	}
	for _, name := range os.Args[1:] {
		look(name)
	}
}
