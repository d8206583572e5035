// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A server whose handlers call two services, as Go programs do it: from the handler, from goroutines
// that it starts, and from goroutines that those start, all through one pool of connections.
//
//	fan ACCESS_LOG BACKEND BACKEND
//
// Every call has the id of the request that it is made for, and the log has the ids that were served.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

var (
	client   = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	backends []string
	logFile  *os.File
	logMutex sync.Mutex
	jobs     = make(chan func())
)

func call(backend int, path string, r *http.Request) error {
	// A request of its own, without the context of the one that is served.
	response, err := client.Get(backends[backend] + path + "?" + r.URL.RawQuery)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// The same as a goroutine that does nothing else than to start it and to wait for it.
func deeper(levels int, work func() error) func() error {
	if levels == 0 {
		return work
	}
	return func() error {
		var group errgroup.Group
		group.Go(deeper(levels-1, work))
		return group.Wait()
	}
}

// Two calls at a time from goroutines, one of them `levels` goroutines away from the handler.
func fan(levels int) func(r *http.Request) (int, error) {
	return func(r *http.Request) (int, error) {
		var group errgroup.Group
		group.Go(func() error { return call(0, "/a", r) })
		group.Go(deeper(levels, func() error { return call(1, "/b", r) }))
		return 2, group.Wait()
	}
}

func direct(r *http.Request) (int, error) { return 1, call(0, "/direct", r) }

// Twice in a row: through a connection that another goroutine has used in between.
func twice(r *http.Request) (int, error) {
	if err := call(0, "/first", r); err != nil {
		return 1, err
	}
	return 2, call(0, "/second", r)
}

// A call that is made when the request was answered, and its connection serves the next.
func late(r *http.Request) (int, error) {
	delay, _ := strconv.Atoi(r.URL.Query().Get("late"))
	go func() {
		time.Sleep(time.Duration(delay) * time.Millisecond)
		_ = call(0, "/late", r)
	}()
	return 1, nil
}

// A call by a goroutine that works for everybody.
func queued(r *http.Request) (int, error) {
	done := make(chan error)
	jobs <- func() { done <- call(0, "/queued", r) }
	return 1, <-done
}

// Another goroutine than the handler's reads the request's body, and sends it on.
func forward(r *http.Request) (int, error) {
	response, err := client.Post(backends[0]+"/forward?"+r.URL.RawQuery, "text/plain", r.Body)
	if err != nil {
		return 1, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return 1, err
}

// Connections that programs wrap: one is where it is looked for, the other is not.
type embedding struct{ net.Conn }
type hiding struct {
	net.Addr
	net.Conn
}

func (h *hiding) Network() string { return "tcp" }

func wrap(path string, around func(net.Conn) net.Conn) func(r *http.Request) (int, error) {
	wrapping := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			connection, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return around(connection), nil
		}}}
	return func(r *http.Request) (int, error) {
		response, err := wrapping.Get(backends[0] + path + "?" + r.URL.RawQuery)
		if err != nil {
			return 1, err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return 1, err
	}
}

func handle(work func(r *http.Request) (int, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		calls, err := work(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
		logMutex.Lock()
		defer logMutex.Unlock()
		fmt.Fprintln(logFile, r.URL.Query().Get("id"), calls)
	}
}

func main() {
	var err error
	if logFile, err = os.Create(os.Args[1]); err != nil {
		panic(err)
	}
	backends = os.Args[2:]
	for i := 0; i < 8; i++ {
		go func() {
			for job := range jobs {
				job()
			}
		}()
	}
	for path, work := range map[string]func(*http.Request) (int, error){
		"/direct": direct, "/fan1": fan(1), "/fan2": fan(2), "/fan0": fan(0), "/twice": twice, "/late": late,
		"/queued": queued, "/forward": forward,
		"/embed": wrap("/embed", func(c net.Conn) net.Conn { return &embedding{c} }),
		"/hide":  wrap("/hide", func(c net.Conn) net.Conn { return &hiding{c.LocalAddr(), c} }),
	} {
		http.Handle(path, handle(work))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, nil))
}
