// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// program PORT: works with a Redis server through go-redis after a line on standard input, and prints "ready" before.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

func check(err error) {
	if err != nil && err != redis.Nil {
		panic(err)
	}
}

func main() {
	fmt.Println("ready")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + os.Args[1], DB: 2, DisableIndentity: true})
	var group sync.WaitGroup
	for i := 0; i < 20; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			key := fmt.Sprintf("key%d", i)
			check(client.Set(ctx, key, fmt.Sprintf("secret %d", i), 0).Err())
			if value, err := client.Get(ctx, key).Result(); err != nil || value != fmt.Sprintf("secret %d", i) {
				panic("wrong answer")
			}
		}()
	}
	group.Wait()
	pipeline := client.Pipeline()
	for i := 0; i < 20; i++ {
		pipeline.Get(ctx, fmt.Sprintf("key%d", i))
	}
	wrong := pipeline.LPush(ctx, "key0", "secret")
	_, _ = pipeline.Exec(ctx)
	if wrong.Err() == nil || !strings.HasPrefix(wrong.Err().Error(), "WRONGTYPE") {
		panic("it worked")
	}
	_, err = client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "tx", "secret", 0)
		pipe.Get(ctx, "tx")
		return nil
	})
	check(err)
	check(client.Get(ctx, "none").Err())
	check(client.Close())
	fmt.Println("done")
}
