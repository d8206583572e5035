// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// kafka_go BROKER: an HTTP server; it prints "listening PORT". Each request sends one message with franz-go, all through one
// client, and prints "sent ID TOPIC PARTITION OFFSET". A line on standard input makes it read what was sent, and print "got TOPIC
// PARTITION OFFSET" for each, and "done".
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	var once sync.Once
	var client *kgo.Client
	var sent atomic.Int64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		check(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// Its goroutines are started by whoever needs them first.
			once.Do(func() {
				var err error
				client, err = kgo.NewClient(kgo.SeedBrokers(os.Args[1]), kgo.ClientID("go-client"))
				check(err)
			})
			id := r.URL.Query().Get("id")
			record, err := client.ProduceSync(r.Context(), &kgo.Record{Topic: "bulk", Value: []byte("secret " + id)}).First()
			check(err)
			fmt.Println("sent", id, record.Topic, record.Partition, record.Offset)
			sent.Add(1)
		})))
	}()
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	bufio.NewReader(os.Stdin).ReadString('\n')
	reader, err := kgo.NewClient(kgo.SeedBrokers(os.Args[1]), kgo.ClientID("reader"), kgo.ConsumeTopics("bulk"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	check(err)
	for left := sent.Load(); left > 0; {
		fetches := reader.PollFetches(context.Background())
		check(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			fmt.Println("got", record.Topic, record.Partition, record.Offset)
			left--
		})
	}
	reader.Close()
	client.Close()
	fmt.Println("done")
}
