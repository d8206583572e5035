// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// amqp_go ADDRESS CHANNELS: an HTTP server; it prints "listening PORT". Each request publishes one message with RabbitMQ's client,
// through one of so many channels of one connection, waits until it is confirmed, and prints "sent ID". A line on standard input makes it get
// what was sent, acknowledge it, and print "got ID" for each, and "done".
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	var once sync.Once
	var connection *amqp.Connection
	var channels []*amqp.Channel
	count, err := strconv.Atoi(os.Args[2])
	check(err)
	var next, sent atomic.Int64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		check(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// Its goroutines are started by whoever needs them first.
			once.Do(func() {
				var err error
				connection, err = amqp.Dial(os.Args[1])
				check(err)
				for range count {
					channel, err := connection.Channel()
					check(err)
					check(channel.Confirm(false))
					channels = append(channels, channel)
				}
				_, err = channels[0].QueueDeclare("jobs", false, false, false, false, nil)
				check(err)
			})
			id := r.URL.Query().Get("id")
			channel := channels[next.Add(1)%int64(count)]
			confirmation, err := channel.PublishWithDeferredConfirm("", "jobs", false, false,
				amqp.Publishing{MessageId: id, Body: []byte("secret " + id)})
			check(err)
			if !confirmation.Wait() {
				panic("refused")
			}
			fmt.Println("sent", id)
			sent.Add(1)
		})))
	}()
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	bufio.NewReader(os.Stdin).ReadString('\n')
	messages, err := channels[0].Consume("jobs", "", false, false, false, false, nil)
	check(err)
	for left := sent.Load(); left > 0; left-- {
		message := <-messages
		check(message.Ack(false))
		fmt.Println("got", message.MessageId)
	}
	check(connection.Close())
	fmt.Println("done")
}
