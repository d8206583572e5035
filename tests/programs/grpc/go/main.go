// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The gRPC test program (../README.md) on grpc-go.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"zerospan.test/grpc/calls"
)

const streamed = 3

var kinds = []string{"unary", "large", "gzip", "server_stream", "client_stream", "both", "not_found", "broken",
	"unimplemented", "deadline", "cancel"}

var names = []string{"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}

func nameOf(err error) string {
	if errors.Is(err, context.Canceled) {
		return "CANCELLED"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "DEADLINE_EXCEEDED"
	}
	return names[status.Code(err)]
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type line struct {
	ID       string `json:"id"`
	Kind     string `json:"kind,omitempty"`
	Method   string `json:"method"`
	Status   string `json:"status"`
	Sent     int    `json:"sent"`
	Received int    `json:"received"`
}

var printing sync.Mutex

func (l line) print() {
	text, err := json.Marshal(l)
	check(err)
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(string(text))
}

type service struct {
	calls.UnimplementedCallsServer
}

// log prints what became of a call.
func log(ctx context.Context, method string, received, sent int, err error) {
	id := ""
	if fields, ok := metadata.FromIncomingContext(ctx); ok && len(fields.Get("x-id")) == 1 {
		id = fields.Get("x-id")[0]
	}
	line{ID: id, Method: method, Status: nameOf(err), Received: received, Sent: sent}.print()
}

func (service) Unary(ctx context.Context, item *calls.Item) (*calls.Item, error) {
	if item.Status != 0 {
		err := status.Error(codes.Code(item.Status), "as asked for")
		log(ctx, "Unary", 1, 0, err)
		return nil, err
	}
	log(ctx, "Unary", 1, 1, nil)
	return &calls.Item{Payload: item.Payload}, nil
}

func (service) ServerStream(item *calls.Item, stream grpc.ServerStreamingServer[calls.Item]) (err error) {
	sent := 0
	defer func() { log(stream.Context(), "ServerStream", 1, sent, err) }()
	for ; sent < int(item.Answers); sent++ {
		if err = stream.Send(&calls.Item{Payload: item.Payload}); err != nil {
			return err
		}
	}
	if item.Wait {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	if item.Status != 0 {
		return status.Error(codes.Code(item.Status), "as asked for")
	}
	return nil
}

func (service) ClientStream(stream grpc.ClientStreamingServer[calls.Item, calls.Item]) error {
	received := 0
	answer := &calls.Item{}
	for {
		item, err := stream.Recv()
		if err == io.EOF {
			log(stream.Context(), "ClientStream", received, 1, nil)
			return stream.SendAndClose(answer)
		}
		if err != nil {
			log(stream.Context(), "ClientStream", received, 0, err)
			return err
		}
		answer.Payload = item.Payload
		received++
	}
}

func (service) Both(stream grpc.BidiStreamingServer[calls.Item, calls.Item]) (err error) {
	count := 0
	defer func() { log(stream.Context(), "Both", count, count, err) }()
	for {
		item, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&calls.Item{Payload: item.Payload}); err != nil {
			return err
		}
		count++
	}
}

func serve(age string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	var options []grpc.ServerOption
	if age != "" {
		milliseconds, err := strconv.Atoi(age)
		check(err)
		options = append(options, grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: time.Duration(milliseconds) * time.Millisecond}))
	}
	server := grpc.NewServer(options...)
	calls.RegisterCallsServer(server, service{})
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	check(server.Serve(listener))
}

func payload(size int) []byte {
	bytes := make([]byte, size)
	for i := range bytes {
		bytes[i] = 'm'
	}
	return bytes
}

// call makes one call and says how it went.
func call(client calls.CallsClient, number int) line {
	l := line{ID: fmt.Sprintf("%06d", number), Kind: kinds[number%len(kinds)], Sent: 1}
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(context.Background(), "x-id", l.ID))
	defer cancel()
	var err error
	small := payload(100)
	unary := func(item *calls.Item, options ...grpc.CallOption) {
		l.Method = "Unary"
		if _, err = client.Unary(ctx, item, options...); err == nil {
			l.Received = 1
		}
	}
	read := func(item *calls.Item) {
		l.Method = "ServerStream"
		var stream grpc.ServerStreamingClient[calls.Item]
		for stream, err = client.ServerStream(ctx, item); err == nil; {
			if _, err = stream.Recv(); err == nil {
				l.Received++
			}
		}
		if err == io.EOF {
			err = nil
		}
	}
	switch l.Kind {
	case "unary":
		unary(&calls.Item{Payload: small})
	case "large":
		unary(&calls.Item{Payload: payload(50000)})
	case "gzip":
		unary(&calls.Item{Payload: payload(5000)}, grpc.UseCompressor(gzip.Name))
	case "not_found":
		unary(&calls.Item{Status: 5})
	case "unimplemented":
		l.Method = "Missing"
		_, err = client.Missing(ctx, &calls.Item{Payload: small})
	case "server_stream":
		read(&calls.Item{Payload: small, Answers: streamed})
	case "broken":
		read(&calls.Item{Payload: small, Answers: 2, Status: 13})
	case "deadline":
		ctx, cancel = context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		read(&calls.Item{Payload: small, Answers: 1, Wait: true})
	case "client_stream":
		l.Method, l.Sent = "ClientStream", 0
		var stream grpc.ClientStreamingClient[calls.Item, calls.Item]
		for stream, err = client.ClientStream(ctx); err == nil && l.Sent < streamed; l.Sent++ {
			err = stream.Send(&calls.Item{Payload: small})
		}
		if err == nil {
			if _, err = stream.CloseAndRecv(); err == nil {
				l.Received = 1
			}
		}
	case "both", "cancel":
		l.Method, l.Sent = "Both", 0
		var stream grpc.BidiStreamingClient[calls.Item, calls.Item]
		for stream, err = client.Both(ctx); err == nil && l.Sent < streamed; {
			if err = stream.Send(&calls.Item{Payload: small}); err == nil {
				l.Sent++
				if _, err = stream.Recv(); err == nil {
					l.Received++
				}
			}
			if l.Kind == "cancel" {
				cancel()
				break
			}
		}
		if err == nil {
			if l.Kind == "both" {
				err = stream.CloseSend()
			}
			if err == nil {
				_, err = stream.Recv()
			}
			if err == io.EOF {
				err = nil
			}
		}
	}
	l.Status = nameOf(err)
	return l
}

func main() {
	if len(os.Args) >= 2 && os.Args[1] == "serve" {
		serve(append(os.Args, "")[2])
		return
	}
	if len(os.Args) != 5 || os.Args[1] != "call" {
		check(errors.New("usage: calls serve [AGE_MS] | calls call PORT COUNT WIDE"))
	}
	connection, err := grpc.NewClient("127.0.0.1:"+os.Args[2], grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	count, err := strconv.Atoi(os.Args[3])
	check(err)
	wide, err := strconv.Atoi(os.Args[4])
	check(err)
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
	client := calls.NewCallsClient(connection)
	var next atomic.Int64
	var group sync.WaitGroup
	for i := 0; i < wide; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for number := next.Add(1) - 1; number < int64(count); number = next.Add(1) - 1 {
				call(client, int(number)).print()
			}
		}()
	}
	group.Wait()
	call(client, count).print()
	fmt.Println("done")
}
