// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"unsafe"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// What is measured: a handler that does nothing.
func serveEcho(listener net.Listener) {
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "rpc.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Echo", Handler: func(_ any, _ context.Context, decode func(any) error,
			_ grpc.UnaryServerInterceptor) (any, error) {
			return &emptypb.Empty{}, decode(&emptypb.Empty{})
		}}}}, struct{}{})
	check(server.Serve(listener))
}

// Calls every server without end, WIDE at a time over 4 connections. The file has a number of answers
// for each server, and is mapped by whoever wants to know.
func load(file string, wide int, ports []string) {
	counts, err := os.Create(file)
	check(err)
	check(counts.Truncate(int64(8 * len(ports))))
	memory, err := syscall.Mmap(int(counts.Fd()), 0, 8*len(ports), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_SHARED)
	check(err)
	for i, port := range ports {
		count := (*atomic.Uint64)(unsafe.Pointer(&memory[8*i]))
		for number := 0; number < 4; number++ {
			connection := dial("127.0.0.1:" + port)
			for worker := 0; worker < wide/4; worker++ {
				go func() {
					for {
						check(connection.Invoke(context.Background(), "/rpc.Echo/Echo", &emptypb.Empty{}, &emptypb.Empty{}))
						count.Add(1)
					}
				}()
			}
		}
	}
	select {}
}

func startLoad(arguments []string) {
	wide, err := strconv.Atoi(arguments[1])
	check(err)
	load(arguments[0], wide, arguments[2:])
}
