// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// program work HOST PORT VERSION: prints "ready", waits for a line on standard input, sends statements through gocql, prints one
// line of JSON for each that failed or whose rows it counted, and "done". program handler HOST PORT WAIT: an HTTP server whose handlers
// send two statements each, with the request's id in them; gocql gathers what is written for WAIT microseconds.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func cluster(host, port string, version int) *gocql.ClusterConfig {
	config := gocql.NewCluster(host)
	config.Port = number(port)
	config.ProtoVersion = version
	config.Authenticator = gocql.PasswordAuthenticator{Username: "cassandra", Password: "cassandra"}
	config.Timeout = time.Minute
	config.ConnectTimeout = time.Minute
	config.WriteTimeout = time.Minute
	return config
}

type told struct {
	Text string `json:"text"`
	Code string `json:"code,omitempty"`
	Rows *int   `json:"rows,omitempty"`
}

func tell(it told) {
	line, err := json.Marshal(it)
	check(err)
	fmt.Println(string(line))
}

func fails(session *gocql.Session, text string) {
	var refused gocql.RequestError
	if !errors.As(session.Query(text).Exec(), &refused) {
		panic("not refused")
	}
	tell(told{Text: text, Code: strconv.Itoa(refused.Code())})
}

func rows(session *gocql.Session, text string, values ...any) {
	found := session.Query(text, values...).Iter()
	count := found.NumRows()
	check(found.Close())
	tell(told{Text: text, Rows: &count})
}

func work(host, port string, version int) {
	config := cluster(host, port, version)
	session, err := config.CreateSession()
	check(err)
	do := func(text string, values ...any) { check(session.Query(text, values...).Exec()) }
	do("CREATE KEYSPACE IF NOT EXISTS gone WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
	do("CREATE TABLE IF NOT EXISTS gone.orders (id int PRIMARY KEY, name text)")
	session.Close()
	config.Keyspace = "gone"
	session, err = config.CreateSession()
	check(err)
	do("INSERT INTO orders (id, name) VALUES (1, 'secret')")
	var group sync.WaitGroup
	for i := range 400 {
		group.Add(1)
		go func() {
			defer group.Done()
			do("INSERT INTO orders (id, name) VALUES (?, ?)", i, "secret")
			var name string
			check(session.Query("SELECT name FROM orders WHERE id = ?", i).Scan(&name))
		}()
	}
	group.Wait()
	rows(session, "SELECT * FROM orders LIMIT 7")
	rows(session, "SELECT * FROM orders WHERE id = ?", -1)
	pages := session.Query("SELECT id FROM orders").PageSize(150).Iter()
	count := 0
	for pages.Scan(new(int)) {
		count++
	}
	check(pages.Close())
	batch := session.NewBatch(gocql.LoggedBatch)
	for i := range 10 {
		batch.Query("INSERT INTO orders (id, name) VALUES (?, ?)", 1000+i, "secret")
	}
	batch.Query("DELETE FROM orders WHERE id = 2000")
	check(session.ExecuteBatch(batch))
	for _, size := range []int{5_000, 60_000, 300_000} {
		do("INSERT INTO orders (id, name) VALUES (?, ?)", 3000+size, strings.Repeat("s", size))
		var name string
		check(session.Query("SELECT name FROM orders WHERE id = ?", 3000+size).Scan(&name))
	}
	fails(session, "SELECT * FROM nothing WHERE name = 'secret'")
	fails(session, "SELEC 'secret'")
	session.Close()
	fmt.Println("done")
}

func handler(host, port, wait string) {
	var once sync.Once
	var lazily *gocql.Session
	http.HandleFunc("/two", func(w http.ResponseWriter, r *http.Request) {
		// The driver's own goroutines are started by the first request, as in many a program.
		once.Do(func() {
			config := cluster(host, port, 4)
			config.WriteCoalesceWaitTime = time.Duration(number(wait)) * time.Microsecond
			var err error
			lazily, err = config.CreateSession()
			check(err)
		})
		delay, _ := strconv.Atoi(r.URL.Query().Get("delay"))
		for _, letter := range []string{"t_", "u_"} {
			var name string
			text := "SELECT cluster_name AS " + letter + r.URL.Query().Get("id") + " FROM system.local"
			check(lazily.Query(text).ScanContext(r.Context(), &name))
			time.Sleep(time.Duration(delay) * time.Millisecond)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	check(http.Serve(listener, nil))
}

func main() {
	if os.Args[1] == "handler" {
		handler(os.Args[2], os.Args[3], os.Args[4])
		return
	}
	fmt.Println("ready")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	work(os.Args[2], os.Args[3], number(os.Args[4]))
}
