// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A server whose handlers are called over HTTP/2, and call two services, one by gRPC and one by
// HTTP/1: from the handler, from goroutines that it starts, and from goroutines that those start.
//
//	rpc backend                            answers gRPC calls
//	rpc serve KIND LOG HTTP GRPC           KIND: grpc, workers (a pool of goroutines for all streams),
//	                                       h2c (golang.org/x/net), unencrypted (net/http), mounted
//	                                       (gRPC on top of net/http's server)
//	rpc call KIND PORT COUNT WIDE METHOD.. makes COUNT requests, WIDE at once over 4 connections
//	rpc echo                               answers gRPC calls, and does nothing else
//	rpc load FILE WIDE PORT...             calls these without end
//
// A server prints "listening PORT". Every call has the id of the request that it is made for; LOG has
// the ids that were served and the number of calls, and what backends print has the ids of the calls.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

var (
	mutex   sync.Mutex
	logFile io.Writer = os.Stdout
	web               = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	webURL  string
	backend *grpc.ClientConn
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func write(values ...any) {
	mutex.Lock()
	defer mutex.Unlock()
	fmt.Fprintln(logFile, values...)
}

func dial(address string) *grpc.ClientConn {
	connection, err := grpc.Dial(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	return connection
}

// The context is a new one: nothing of the request that is served is in it.
func byGrpc(id string) error {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-id", id)
	return backend.Invoke(ctx, "/rpc.Backend/Echo", &emptypb.Empty{}, &emptypb.Empty{})
}

// A stream on which the client sends nothing but its end.
func byStream(id string) error {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-id", id)
	stream, err := backend.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/rpc.Backend/Drain")
	if err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(&emptypb.Empty{})
}

func byHTTP(id string) error {
	response, err := web.Get(webURL + "/call?id=" + id)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func both(calls ...func(string) error) func(string) (int, error) {
	return func(id string) (int, error) {
		for _, call := range calls {
			if err := call(id); err != nil {
				return len(calls), err
			}
		}
		return len(calls), nil
	}
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

func fan(levels int) func(string) (int, error) {
	return func(id string) (int, error) {
		var group errgroup.Group
		group.Go(deeper(levels, func() error { return byGrpc(id) }))
		group.Go(deeper(levels, func() error { return byHTTP(id) }))
		return 2, group.Wait()
	}
}

// Calls that are given up, many while they wait for their turn: the backend takes 20 at a time.
func hasty(id string) (int, error) {
	for i := 0; i < 4; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+i)*time.Millisecond)
		_ = backend.Invoke(metadata.AppendToOutgoingContext(ctx, "x-id", id), "/rpc.Backend/Echo", &emptypb.Empty{},
			&emptypb.Empty{})
		cancel()
	}
	return 4, nil
}

// A call when the request was answered.
func late(id string) (int, error) {
	go func() {
		time.Sleep(3 * time.Millisecond)
		_ = byGrpc(id)
		_ = byHTTP(id)
	}()
	return 2, nil
}

var methods = map[string]func(string) (int, error){
	"Grpc": both(byGrpc), "Http": both(byHTTP), "Both": both(byHTTP, byGrpc), "Stream": both(byStream),
	"Fan0": fan(0), "Fan1": fan(1), "Fan2": fan(2), "Late": late, "Hasty": hasty,
}

func serveMethod(name, id string) error {
	number, _ := strconv.Atoi(id[len(id)-2:])
	time.Sleep(time.Duration(number%20) * time.Millisecond)
	calls, err := methods[name](id)
	write(id, calls)
	return err
}

func idOf(ctx context.Context) string {
	fields, _ := metadata.FromIncomingContext(ctx)
	return fields.Get("x-id")[0]
}

func unary(name string, work func(id string) error) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, decode func(any) error,
		_ grpc.UnaryServerInterceptor) (any, error) {
		if err := decode(&emptypb.Empty{}); err != nil {
			return nil, err
		}
		return &emptypb.Empty{}, work(idOf(ctx))
	}}
}

func grpcServer(options ...grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(options...)
	service := grpc.ServiceDesc{ServiceName: "rpc.Fan", HandlerType: (*any)(nil)}
	for name := range methods {
		name := name // of this turn, also before Go 1.22
		service.Methods = append(service.Methods, unary(name, func(id string) error { return serveMethod(name, id) }))
	}
	server.RegisterService(&service, struct{}{})
	return server
}

func serveBackend(listener net.Listener) {
	server := grpc.NewServer(grpc.MaxConcurrentStreams(20))
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "rpc.Backend", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{unary("Echo", func(id string) error {
			write(id)
			time.Sleep(time.Millisecond)
			return nil
		})},
		Streams: []grpc.StreamDesc{{StreamName: "Drain", ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error {
				write(idOf(stream.Context()))
				for stream.RecvMsg(&emptypb.Empty{}) == nil {
				}
				return stream.SendMsg(&emptypb.Empty{})
			}}}}, struct{}{})
	check(server.Serve(listener))
}

func serve(kind string, listener net.Listener) {
	plain := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serveMethod(r.URL.Path[1:], r.URL.Query().Get("id")); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	switch kind {
	case "grpc":
		check(grpcServer().Serve(listener))
	case "workers":
		check(grpcServer(grpc.NumStreamWorkers(8)).Serve(listener))
	case "mounted":
		check(http.Serve(listener, h2c.NewHandler(grpcServer(), &http2.Server{MaxConcurrentStreams: 1000})))
	case "h2c":
		check(http.Serve(listener, h2c.NewHandler(plain, &http2.Server{MaxConcurrentStreams: 1000})))
	case "unencrypted":
		check(serveUnencrypted(listener, plain))
	}
}

func caller(kind, port string) func(method, id string) error {
	if kind == "h2c" || kind == "unencrypted" {
		client := &http.Client{Transport: &http2.Transport{AllowHTTP: true,
			DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			}}}
		return func(method, id string) error {
			response, err := client.Get("http://127.0.0.1:" + port + "/" + method + "?id=" + id)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			_, err = io.Copy(io.Discard, response.Body)
			return err
		}
	}
	connection := dial("127.0.0.1:" + port)
	return func(method, id string) error {
		ctx := metadata.AppendToOutgoingContext(context.Background(), "x-id", id)
		return connection.Invoke(ctx, "/rpc.Fan/"+method, &emptypb.Empty{}, &emptypb.Empty{})
	}
}

func call(kind, port string, count, wide int, names []string) {
	var callers []func(method, id string) error
	for i := 0; i < 4; i++ {
		callers = append(callers, caller(kind, port))
	}
	var next atomic.Int64
	var group errgroup.Group
	for i := 0; i < wide; i++ {
		group.Go(func() error {
			for number := int(next.Add(1)) - 1; number < count; number = int(next.Add(1)) - 1 {
				id := fmt.Sprintf("%d-%06d", os.Getpid(), number)
				if err := callers[number%len(callers)](names[number%len(names)], id); err != nil {
					return err
				}
			}
			return nil
		})
	}
	check(group.Wait())
	fmt.Println("done")
}

func main() {
	if os.Args[1] == "load" {
		startLoad(os.Args[2:])
	}
	if os.Args[1] == "call" {
		count, err := strconv.Atoi(os.Args[4])
		check(err)
		wide, err := strconv.Atoi(os.Args[5])
		check(err)
		call(os.Args[2], os.Args[3], count, wide, os.Args[6:])
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	switch os.Args[1] {
	case "backend":
		serveBackend(listener)
	case "echo":
		serveEcho(listener)
	}
	file, err := os.Create(os.Args[3])
	check(err)
	logFile, webURL, backend = file, os.Args[4], dial(os.Args[5])
	serve(os.Args[2], listener)
}
