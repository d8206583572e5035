// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// nats WHAT: prints "ready", takes the server's URL from standard input, and works with NATS's client for Go: "work", "load", or "joined",
// which prints "connected" and waits for another line first. It prints "sent SUBJECT SIZE" and "got SUBJECT SIZE" of each message, of load
// the numbers only; "refused SUBJECT" of what the server does not allow; and "done".
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var printing sync.Mutex

func say(word, subject string, size int) {
	if strings.HasPrefix(subject, "_INBOX.") {
		subject = "_INBOX"
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(word, subject, size)
}

func got(message *nats.Msg) {
	say("got", message.Subject, len(message.Data))
}

func connect(url string, more ...nats.Option) *nats.Conn {
	connection, err := nats.Connect(url, append(more, nats.MaxReconnects(0))...)
	check(err)
	return connection
}

func work(url string) {
	var received sync.WaitGroup
	reader := connect(url)
	_, err := reader.Subscribe("orders.>", func(message *nats.Msg) {
		got(message)
		received.Done()
	})
	check(err)
	_, err = reader.QueueSubscribe("service", "workers", func(message *nats.Msg) {
		got(message)
		answer := nats.NewMsg(message.Reply)
		answer.Data = append([]byte("answer "), message.Data...)
		check(message.RespondMsg(answer))
		say("sent", message.Reply, len(answer.Data))
	})
	check(err)
	check(reader.Flush())

	refused := make(chan string, 8)
	writer := connect(url, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		refused <- err.Error()
	}))
	publish := func(message *nats.Msg) {
		received.Add(1)
		check(writer.PublishMsg(message))
		say("sent", message.Subject, len(message.Data))
	}
	// In one write and in many, from nothing to more than its buffer.
	for _, size := range []int{0, 1, 9, 10, 99, 100, 511, 512, 513, 5_000, 32_768, 70_000, 900_000} {
		publish(&nats.Msg{Subject: "orders.size." + strconv.Itoa(size), Data: []byte(strings.Repeat("x", size))})
		if size%2 == 1 {
			check(writer.Flush())
		}
	}
	// Payloads that look like the protocol.
	for _, text := range []string{"PUB orders.fake 3\r\nabc\r\n", "MSG orders.fake 1 3\r\nabc\r\n", "\r\nPING\r\n", "+OK\r\n"} {
		for range 20 {
			publish(&nats.Msg{Subject: "orders.text", Data: []byte(text)})
		}
	}
	publish(&nats.Msg{Subject: "orders." + strings.Repeat("long.", 40) + "name", Data: []byte("x")})
	for i := range 20 {
		message := nats.NewMsg("orders.header")
		message.Header.Set("Key", strings.Repeat("v", 40*i))
		message.Header.Set("traceparent", fmt.Sprintf("00-%032x-%016x-01", 0xabc0+i, 0xdef0+i))
		message.Data = []byte(strings.Repeat("y", 100*i))
		publish(message)
	}
	check(writer.Flush())
	for i := range 20 {
		data := []byte(fmt.Sprint("question ", i))
		answer, err := writer.Request("service", data, 10*time.Second)
		check(err)
		say("sent", "service", len(data))
		got(answer)
	}
	check(writer.Publish("closed.door", []byte("x")))
	say("sent", "closed.door", 1)
	check(writer.Flush())
	<-refused
	fmt.Println("refused closed.door")
	received.Wait()
	check(reader.Drain())
	writer.Close()

	// Each command is acknowledged.
	verbose := connect(url, func(options *nats.Options) error {
		options.Verbose = true
		return nil
	})
	for range 20 {
		check(verbose.Publish("verbose.subject", []byte("x")))
		say("sent", "verbose.subject", 1)
	}
	check(verbose.Flush())
	verbose.Close()

	if _, err := nats.Connect(strings.Replace(url, "tester:", "guess:", 1)); err == nil {
		panic("not refused")
	}
	fmt.Println("refused connect")
}

func joined(url string, input *bufio.Reader) {
	var received sync.WaitGroup
	reader := connect(url)
	_, err := reader.Subscribe("joined.>", func(message *nats.Msg) {
		got(message)
		received.Done()
	})
	check(err)
	check(reader.Flush())
	writer := connect(url)
	check(writer.Flush())
	fmt.Println("connected")
	_, err = input.ReadString('\n')
	check(err)
	// Redis's clients send a PING like this one.
	check(reader.Flush())
	check(writer.Flush())
	for i := range 1000 {
		received.Add(1)
		subject := fmt.Sprint("joined.", i%10)
		data := []byte(strings.Repeat("x", i))
		check(writer.Publish(subject, data))
		say("sent", subject, len(data))
	}
	check(writer.Flush())
	received.Wait()
	writer.Close()
	reader.Close()
}

func load(url string) {
	const messages = 100_000
	var count atomic.Int64
	done := make(chan bool)
	reader := connect(url)
	subscription, err := reader.Subscribe("load", func(*nats.Msg) {
		if count.Add(1) == messages {
			close(done)
		}
	})
	check(err)
	check(subscription.SetPendingLimits(-1, -1))
	check(reader.Flush())
	writer := connect(url)
	started := time.Now()
	for i := range messages {
		check(writer.Publish("load", []byte(strconv.Itoa(i))))
	}
	check(writer.Flush())
	<-done
	fmt.Println("sent", messages)
	fmt.Println("got", count.Load())
	fmt.Printf("took %.3f\n", time.Since(started).Seconds())
	writer.Close()
	reader.Close()
}

func main() {
	fmt.Println("ready")
	input := bufio.NewReader(os.Stdin)
	url, err := input.ReadString('\n')
	check(err)
	url = strings.TrimSpace(url)
	switch os.Args[1] {
	case "load":
		load(url)
	case "joined":
		joined(url, input)
	default:
		work(url)
	}
	fmt.Println("done")
}
