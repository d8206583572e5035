// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// One program in several modes, standard library only:
//
//	httpprog serve ACCESS_LOG            the test server
//	httpprog proxy ACCESS_LOG BACKEND    answers /proxy by asking BACKEND for the same URI
//	httpprog client                      reads "METHOD URL BODY_SIZE" lines, prints "STATUS BYTES" for each
//	httpprog echo                        a bare server for load, without a log
//	httpprog relay BACKEND               as proxy, for load, without a log
//	httpprog serve2, proxy2              as serve and proxy, in HTTP/2 without TLS
//	httpprog proxyto2 ...                a proxy from HTTP/1 to HTTP/2
//
// Servers print "listening PORT" once they listen.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

type line struct {
	ID     string  `json:"id"`
	Method string  `json:"method"`
	Target string  `json:"target"`
	Status int     `json:"status"`
	Bytes  int     `json:"bytes"`
	Start  float64 `json:"start"`
	End    float64 `json:"end"`
}

type accessLog struct {
	mutex sync.Mutex
	file  *os.File
}

func (log *accessLog) write(l line) {
	text, _ := json.Marshal(l)
	log.mutex.Lock()
	defer log.mutex.Unlock()
	log.file.Write(append(text, '\n'))
}

// counted notes what the handler answered.
type counted struct {
	http.ResponseWriter
	status, bytes int
}

func (w *counted) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *counted) Write(data []byte) (int, error) {
	if w.status == 0 {
		w.status = 200
	}
	n, err := w.ResponseWriter.Write(data)
	w.bytes += n
	return n, err
}

func (w *counted) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

func (log *accessLog) wrap(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &counted{ResponseWriter: w}
		next(c, r)
		if r.Method == "HEAD" {
			c.bytes = 0
		}
		log.write(line{r.Header.Get("X-Id"), r.Method, r.RequestURI, c.status, c.bytes, seconds(start), seconds(time.Now())})
	}
}

func intOf(r *http.Request, name string, otherwise int) int {
	if n, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil {
		return n
	}
	return otherwise
}

// answer obeys the query: status=, size=, chunked=1, delay= (milliseconds of service time).
func answer(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	status, size := intOf(r, "status", 200), intOf(r, "size", 0)
	if delay := intOf(r, "delay", 0); delay > 0 {
		time.Sleep(time.Duration(delay) * time.Millisecond)
	}
	if status == 204 || status == 304 {
		w.WriteHeader(status)
		return
	}
	if status == 301 {
		w.Header().Set("Location", "/moved")
	}
	body := bytes.Repeat([]byte("x"), size)
	if intOf(r, "chunked", 0) == 1 {
		w.WriteHeader(status)
		for len(body) > 0 {
			n := 1000
			if n > len(body) {
				n = len(body)
			}
			w.Write(body[:n])
			w.(http.Flusher).Flush()
			body = body[n:]
		}
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(size))
	w.WriteHeader(status)
	if r.Method != "HEAD" {
		w.Write(body)
	}
}

// Of Go 1.24 and later.
var (
	serveHTTP2     func(net.Listener, http.Handler) error
	transportHTTP2 *http.Transport
)

func proxyTo(backend string, transport *http.Transport) http.HandlerFunc {
	client := &http.Client{Transport: transport}
	return func(w http.ResponseWriter, r *http.Request) {
		request, _ := http.NewRequest("GET", backend+r.RequestURI, nil)
		request.Header.Set("X-Id", r.Header.Get("X-Id"))
		response, err := client.Do(request)
		if err != nil {
			w.WriteHeader(502)
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(response.StatusCode)
		w.Write(body)
	}
}

func runClient() {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	input := bufio.NewScanner(os.Stdin)
	fmt.Println("listening 0")
	for input.Scan() {
		part := strings.Fields(input.Text())
		size, _ := strconv.Atoi(part[2])
		var body io.Reader
		if size > 0 {
			body = bytes.NewReader(bytes.Repeat([]byte("b"), size))
		}
		request, _ := http.NewRequest(part[0], part[1], body)
		response, err := client.Do(request)
		if err != nil {
			fmt.Println("error", err)
			continue
		}
		n, _ := io.Copy(io.Discard, response.Body)
		response.Body.Close()
		fmt.Println(response.StatusCode, n)
	}
}

func main() {
	mode := os.Args[1]
	serve, transport := http.Serve, &http.Transport{MaxIdleConnsPerHost: 256}
	if strings.HasSuffix(mode, "2") {
		if serveHTTP2 == nil {
			fmt.Fprintln(os.Stderr, "HTTP/2 without TLS needs Go 1.24")
			os.Exit(1)
		}
		mode, transport = strings.TrimSuffix(mode, "2"), transportHTTP2
		if mode == "proxyto" {
			mode = "proxy"
		} else {
			serve = serveHTTP2
		}
	}
	if mode == "client" {
		runClient()
		return
	}
	var handler http.HandlerFunc
	if mode == "echo" {
		handler = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello\n") }
	} else if mode == "relay" {
		handler = proxyTo(os.Args[2], transport)
	} else {
		file, err := os.OpenFile(os.Args[2], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		log := &accessLog{file: file}
		handler = log.wrap(answer)
		if mode == "proxy" {
			handler = log.wrap(proxyTo(os.Args[3], transport))
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	// A bare handler, not a ServeMux: a mux would clean paths and redirect.
	serve(listener, handler)
}
