// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The services in Go of the parents benchmark (../README.md), their back end, and the load of the one
// that is asked over gRPC.
//
//	program backend          answers HTTP and gRPC, and tells the ids of the calls that it got
//	program nethttp|fasthttp|grpc
//	program load PORT WIDE   asks a gRPC service for each line "ID PLAN" of its input, WIDE at once
package main

import (
	"bufio"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

const grpcMethod = "/parents.Service/Call"

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	return listener
}

func announce(listener net.Listener) {
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
}

// A gRPC server of one method, whose handler gets the metadata.
func grpcServer(handle func(context.Context, metadata.MD) error) *grpc.Server {
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "parents.Service",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Call",
			Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				if err := decode(new(emptypb.Empty)); err != nil {
					return nil, err
				}
				fields, _ := metadata.FromIncomingContext(ctx)
				return new(emptypb.Empty), handle(ctx, fields)
			}}},
	}, struct{}{})
	return server
}

func dial(target string) *grpc.ClientConn {
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	return connection
}

// What a back end does: it waits for a time that the id decides, so that answers come in another order than calls.
func answerLater(delay string, id string) {
	most, _ := strconv.Atoi(delay)
	if most > 0 {
		hash := fnv.New32a()
		hash.Write([]byte(id))
		time.Sleep(time.Duration(int(hash.Sum32())%(most*1000)) * time.Microsecond)
	}
}

func backend() {
	var mutex sync.Mutex
	var seen []string
	note := func(id string) {
		mutex.Lock()
		seen = append(seen, id)
		mutex.Unlock()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/seen", func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		told := seen
		seen = nil
		mutex.Unlock()
		io.WriteString(w, strings.Join(told, "\n"))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		note(query.Get("id"))
		answerLater(query.Get("delay"), query.Get("id"))
		io.WriteString(w, "ok")
	})
	web, rpc := listen(), listen()
	go func() { check(http.Serve(web, mux)) }()
	fmt.Println("grpc", rpc.Addr().(*net.TCPAddr).Port)
	announce(web)
	check(grpcServer(func(_ context.Context, fields metadata.MD) error {
		id := strings.Join(fields.Get("x-id"), "")
		note(id)
		answerLater("10", id)
		return nil
	}).Serve(rpc))
}

type job struct {
	run  func() error
	done chan error
}

type service struct {
	url      string
	get      func(ctx context.Context, url string) error
	grpc     *grpc.ClientConn
	database *pgxpool.Pool
	jobs     chan job
}

func newService(get func(context.Context, string) error) *service {
	s := &service{url: os.Getenv("HTTP_URL"), get: get, jobs: make(chan job)}
	if target := os.Getenv("GRPC_TARGET"); target != "" {
		s.grpc = dial(target)
	}
	if os.Getenv("PGHOST") != "" {
		database, err := pgxpool.New(context.Background(), "pool_max_conns=16 default_query_exec_mode=exec")
		check(err)
		s.database = database
	}
	for i := 0; i < 8; i++ {
		go func() {
			for job := range s.jobs {
				job.done <- job.run()
			}
		}()
	}
	return s
}

func (s *service) call(ctx context.Context, kind, id string) error {
	switch kind {
	case "http":
		return s.get(ctx, s.url+id)
	case "grpc":
		return s.grpc.Invoke(metadata.AppendToOutgoingContext(ctx, "x-id", id), grpcMethod,
			new(emptypb.Empty), new(emptypb.Empty))
	case "sql":
		_, err := s.database.Exec(ctx, "SELECT pg_sleep(0.002) AS r"+strings.ReplaceAll(id, ".", "_"))
		return err
	}
	return fmt.Errorf("unknown step %q", kind)
}

// Runs the steps; `made` calls were made before.
func (s *service) run(ctx context.Context, id string, steps []string, made int) error {
	for i := 0; i < len(steps); {
		switch {
		case steps[i] == "timer":
			<-time.After(5 * time.Millisecond)
			i++
		case steps[i] == "queue":
			done := make(chan error)
			s.jobs <- job{func() error { return s.run(ctx, id, steps[i+1:], made) }, done}
			return <-done
		case strings.HasSuffix(steps[i], ":parallel"):
			var group errgroup.Group
			for ; i < len(steps) && strings.HasSuffix(steps[i], ":parallel"); i++ {
				kind, name := strings.TrimSuffix(steps[i], ":parallel"), fmt.Sprint(id, ".", made)
				made++
				group.Go(func() error { return s.call(ctx, kind, name) })
			}
			if err := group.Wait(); err != nil {
				return err
			}
		default:
			if err := s.call(ctx, steps[i], fmt.Sprint(id, ".", made)); err != nil {
				return err
			}
			made++
			i++
		}
	}
	return nil
}

func (s *service) work(ctx context.Context, id, plan string) error {
	err := s.run(ctx, id, strings.Split(plan, ","), 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, id, plan, err)
	}
	return err
}

func nethttp() {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	s := newService(func(ctx context.Context, url string) error {
		request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		if err == nil && response.StatusCode != 200 {
			err = fmt.Errorf("status %d", response.StatusCode)
		}
		return err
	})
	listener := listen()
	announce(listener)
	check(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if err := s.work(r.Context(), query.Get("id"), query.Get("plan")); err != nil {
			w.WriteHeader(500)
		}
		io.WriteString(w, "ok")
	})))
}

func fast() {
	client := &fasthttp.Client{MaxConnsPerHost: 512}
	s := newService(func(_ context.Context, url string) error {
		status, _, err := client.Get(nil, url)
		if err == nil && status != 200 {
			err = fmt.Errorf("status %d", status)
		}
		return err
	})
	listener := listen()
	announce(listener)
	check(fasthttp.Serve(listener, func(ctx *fasthttp.RequestCtx) {
		query := ctx.QueryArgs()
		if err := s.work(context.Background(), string(query.Peek("id")), string(query.Peek("plan"))); err != nil {
			ctx.SetStatusCode(500)
		}
		ctx.WriteString("ok")
	}))
}

func overGrpc() {
	s := newService(func(_ context.Context, url string) error {
		response, err := http.Get(url)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return err
	})
	listener := listen()
	announce(listener)
	check(grpcServer(func(ctx context.Context, fields metadata.MD) error {
		return s.work(ctx, strings.Join(fields.Get("x-id"), ""), strings.Join(fields.Get("x-plan"), ""))
	}).Serve(listener))
}

func load(port string, wide int) {
	connections := make([]*grpc.ClientConn, 4)
	for i := range connections {
		connections[i] = dial("127.0.0.1:" + port)
	}
	lines := make(chan string)
	var group errgroup.Group
	for i := 0; i < wide; i++ {
		group.Go(func() error {
			for line := range lines {
				id, plan, _ := strings.Cut(line, " ")
				ctx := metadata.AppendToOutgoingContext(context.Background(), "x-id", id, "x-plan", plan)
				if err := connections[i%4].Invoke(ctx, grpcMethod, new(emptypb.Empty), new(emptypb.Empty)); err != nil {
					fmt.Println("failed", id, err)
				}
			}
			return nil
		})
	}
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		lines <- input.Text()
	}
	close(lines)
	check(group.Wait())
}

func main() {
	switch os.Args[1] {
	case "backend":
		backend()
	case "nethttp":
		nethttp()
	case "fasthttp":
		fast()
	case "grpc":
		overGrpc()
	case "load":
		wide, err := strconv.Atoi(os.Args[3])
		check(err)
		load(os.Args[2], wide)
	}
}
