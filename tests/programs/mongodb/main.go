// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// program server FOLDER: FerretDB over SQLite, on a free port that it prints. program work URI: works with it through MongoDB's
// driver after a line on standard input, prints "ready" before, and one line of JSON for each command that the driver reports.
// program handler URI CONNECTIONS: an HTTP server whose handlers send two commands each, with the request's id in them.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/event"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func server(folder string) {
	db, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Handler:   "sqlite",
		SQLiteURL: "file:" + folder + "/",
	})
	check(err)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() { fmt.Println("listening", db.MongoDBURI()) }()
	db.Run(ctx)
}

// What the driver reports of a command.
type told struct {
	Name       string `json:"name"`
	Database   string `json:"database"`
	Collection string `json:"collection"`
	Batch      int    `json:"batch"`
	Rows       int    `json:"rows"` // -1: not known
	Error      string `json:"error"`
}

type monitor struct {
	sync.Mutex
	open map[int64]told
}

func length(raw bson.Raw, path ...string) int {
	value, err := raw.LookupErr(path...)
	if err != nil {
		return -1
	}
	values, err := value.Array().Values()
	check(err)
	return len(values)
}

func (m *monitor) started(_ context.Context, e *event.CommandStartedEvent) {
	it := told{Name: e.CommandName, Database: e.DatabaseName}
	if name := "collection"; e.CommandName == "getMore" {
		it.Collection, _ = e.Command.Lookup(name).StringValueOK()
	} else {
		it.Collection, _ = e.Command.Lookup(e.CommandName).StringValueOK()
	}
	for _, name := range []string{"documents", "updates", "deletes"} {
		it.Batch = max(it.Batch, length(e.Command, name))
	}
	m.Lock()
	m.open[e.RequestID] = it
	m.Unlock()
}

func (m *monitor) finished(id int64, reply bson.Raw, failure string) {
	m.Lock()
	defer m.Unlock()
	it := m.open[id]
	it.Rows = -1
	it.Error = failure
	if reply != nil {
		it.Rows = max(length(reply, "cursor", "firstBatch"), length(reply, "cursor", "nextBatch"))
		if length(reply, "writeErrors") > 0 {
			it.Error = fmt.Sprint(reply.Lookup("writeErrors", "0", "code").Int32())
		}
	}
	line, err := json.Marshal(it)
	check(err)
	fmt.Println(string(line))
}

func connect(uri string, more *options.ClientOptions) *mongo.Client {
	client, err := mongo.Connect(context.Background(), options.Client().ApplyURI(uri), more)
	check(err)
	return client
}

func work(uri string) {
	fmt.Println("ready")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	ctx := context.Background()
	m := &monitor{open: map[int64]told{}}
	client := connect(uri, options.Client().SetMonitor(&event.CommandMonitor{
		Started: m.started,
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) {
			m.finished(e.RequestID, e.Reply, "")
		},
		Failed: func(_ context.Context, e *event.CommandFailedEvent) {
			m.finished(e.RequestID, nil, strings.Trim(strings.Fields(e.Failure)[0], "()"))
		},
	}))
	shop := client.Database("shop")
	users := shop.Collection("users")
	check(client.Ping(ctx, nil))
	for i := 0; i < 20; i++ {
		_, err = users.InsertOne(ctx, bson.D{{"_id", i}, {"name", fmt.Sprintf("secret %d", i)}, {"age", i}})
		check(err)
	}
	var many []any
	for i := 100; i < 400; i++ {
		many = append(many, bson.D{{"_id", i}, {"name", strings.Repeat("secret ", 20)}, {"age", i}})
	}
	_, err = users.InsertMany(ctx, many)
	check(err)
	if _, err = users.InsertOne(ctx, bson.D{{"_id", 1}}); !mongo.IsDuplicateKeyError(err) {
		panic("it worked")
	}
	cursor, err := users.Find(ctx, bson.D{{"age", bson.D{{"$lt", 10}}}, {"name", bson.D{{"$ne", "secret"}}}},
		options.Find().SetBatchSize(4))
	check(err)
	var found []bson.D
	check(cursor.All(ctx, &found))
	if len(found) != 10 {
		panic("wrong answer")
	}
	cursor, err = users.Find(ctx, bson.D{}, options.Find().SetBatchSize(200)) // a long answer
	check(err)
	check(cursor.All(ctx, &found))
	check(users.FindOne(ctx, bson.D{{"_id", 1}}).Err())
	_, err = users.UpdateOne(ctx, bson.D{{"_id", 1}}, bson.D{{"$set", bson.D{{"name", "secret"}}}})
	check(err)
	_, err = users.BulkWrite(ctx, []mongo.WriteModel{
		mongo.NewUpdateOneModel().SetFilter(bson.D{{"_id", 2}}).SetUpdate(bson.D{{"$inc", bson.D{{"age", 1}}}}),
		mongo.NewUpdateOneModel().SetFilter(bson.D{{"_id", 3}}).SetUpdate(bson.D{{"$inc", bson.D{{"age", 1}}}}),
		mongo.NewDeleteOneModel().SetFilter(bson.D{{"_id", 4}}),
		mongo.NewDeleteOneModel().SetFilter(bson.D{{"_id", 5}}),
		mongo.NewDeleteOneModel().SetFilter(bson.D{{"_id", 6}}),
	})
	check(err)
	cursor, err = users.Aggregate(ctx, bson.A{bson.D{{"$match", bson.D{{"name", "secret"}}}},
		bson.D{{"$group", bson.D{{"_id", "$name"}, {"n", bson.D{{"$sum", 1}}}}}}})
	check(err)
	check(cursor.All(ctx, &found))
	_, err = users.CountDocuments(ctx, bson.D{{"name", "secret"}})
	check(err)
	_, err = users.Distinct(ctx, "name", bson.D{{"age", bson.D{{"$lt", 5}}}})
	check(err)
	check(users.FindOneAndUpdate(ctx, bson.D{{"_id", 7}}, bson.D{{"$set", bson.D{{"name", "secret"}}}}).Err())
	_, err = shop.ListCollectionNames(ctx, bson.D{})
	check(err)
	for _, wrong := range []bson.D{{{"noSuchCommand", "secret"}}, {{"create", "users"}}, {{"find", "users"}, {"filter", "secret"}}} {
		if shop.RunCommand(ctx, wrong).Err() == nil {
			panic("it worked")
		}
	}
	var group sync.WaitGroup
	for i := 0; i < 30; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			each := shop.Collection(fmt.Sprintf("c%d", i))
			_, err := each.InsertOne(ctx, bson.D{{"_id", i}, {"name", "secret"}})
			check(err)
			check(users.FindOne(ctx, bson.D{{"_id", 100 + i}}).Err())
		}()
	}
	group.Wait()
	check(users.Drop(ctx))
	check(client.Disconnect(ctx))
	fmt.Println("done")
}

func handler(uri string, connections uint64) {
	var once sync.Once
	var lazily *mongo.Database
	http.HandleFunc("/two", func(w http.ResponseWriter, r *http.Request) {
		// The driver's own goroutines are started by the first request, as in many a program.
		once.Do(func() {
			lazily = connect(uri, options.Client().SetMaxPoolSize(connections).SetMaxConnIdleTime(time.Second)).Database("shop")
		})
		delay, _ := strconv.Atoi(r.URL.Query().Get("delay"))
		for _, letter := range []string{"t_", "u_"} {
			err := lazily.Collection(letter+r.URL.Query().Get("id")).FindOne(r.Context(), bson.D{{"name", "secret"}}).Err()
			if err != nil && err != mongo.ErrNoDocuments {
				fmt.Fprintln(os.Stderr, err)
				w.WriteHeader(http.StatusInternalServerError)
			}
			time.Sleep(time.Duration(delay) * time.Millisecond)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	check(http.Serve(listener, nil))
}

func main() {
	switch os.Args[1] {
	case "server":
		server(os.Args[2])
	case "work":
		work(os.Args[2])
	case "handler":
		connections, err := strconv.ParseUint(os.Args[3], 10, 32)
		check(err)
		handler(os.Args[2], connections)
	}
}
