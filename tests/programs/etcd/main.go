// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The real etcd, from its Go module, and a load on it by its own client:
//
//	etcd [ETCD'S OPTIONS ...]
//	etcd load ENDPOINT COUNT WIDE    prints "ready", reads a line from stdin, makes COUNT rounds of calls, WIDE at
//	                                 once; prints the number of calls of each method as JSON, then "done"
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.uber.org/zap"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func load(endpoint string, count, wide int) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second,
		Logger: zap.NewNop()})
	check(err)
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
	ctx := context.Background()
	var calls sync.Map
	note := func(method string, err error) {
		check(err)
		n, _ := calls.LoadOrStore(method, new(int))
		*n.(*int)++
	}
	var lock sync.Mutex
	var group sync.WaitGroup
	rounds := make(chan int)
	for i := 0; i < wide; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for round := range rounds {
				key := fmt.Sprintf("key/%06d", round)
				_, putting := client.Put(ctx, key, string(make([]byte, round%5000)))
				_, getting := client.Get(ctx, key)
				_, transacting := client.Txn(ctx).If(clientv3.Compare(clientv3.Version(key), ">", 0)).
					Then(clientv3.OpDelete(key)).Commit()
				lock.Lock()
				note("etcdserverpb.KV/Put", putting)
				note("etcdserverpb.KV/Range", getting)
				note("etcdserverpb.KV/Txn", transacting)
				lock.Unlock()
			}
		}()
	}
	for round := 0; round < count; round++ {
		rounds <- round
	}
	close(rounds)
	group.Wait()
	// A watch that sees one event, and a lease that is taken back.
	watching, cancel := context.WithCancel(ctx)
	events := client.Watch(watching, "watched", clientv3.WithCreatedNotify())
	<-events
	_, err = client.Put(ctx, "watched", "x")
	note("etcdserverpb.KV/Put", err)
	<-events
	cancel()
	note("etcdserverpb.Watch/Watch", nil)
	lease, err := client.Grant(ctx, 60)
	note("etcdserverpb.Lease/LeaseGrant", err)
	_, err = client.Revoke(ctx, lease.ID)
	note("etcdserverpb.Lease/LeaseRevoke", err)
	_, err = client.Status(ctx, endpoint)
	note("etcdserverpb.Maintenance/Status", err)
	counts := map[string]int{}
	calls.Range(func(method, n any) bool {
		counts[method.(string)] = *n.(*int)
		return true
	})
	text, err := json.Marshal(counts)
	check(err)
	check(client.Close())
	fmt.Println(string(text))
	fmt.Println("done")
}

func main() {
	if len(os.Args) == 5 && os.Args[1] == "load" {
		count, err := strconv.Atoi(os.Args[3])
		check(err)
		wide, err := strconv.Atoi(os.Args[4])
		check(err)
		load(os.Args[2], count, wide)
		return
	}
	etcdmain.Main(os.Args)
}
