// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// program handler DRIVER SOURCE CONNECTIONS: an HTTP server whose handlers send statements, with the request's id in them,
// over connections of one pool. program work DRIVER SOURCE [BATCH]: works with a database after a line on standard input,
// and prints "ready" before; a batch has twice BATCH statements.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
	"github.com/redis/go-redis/v9"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// A store runs a statement that takes some milliseconds, and one that does not; or both in a transaction.
type store interface {
	slow(ctx context.Context, id string, delay int) error
	quick(ctx context.Context, id string) error
	transaction(ctx context.Context, id string, delay int) error
}

// Statements of PostgreSQL and MySQL, each with the driver's own form of parameters.
type dialect struct{ slow, quick string }

var (
	postgresql = dialect{"SELECT pg_sleep($1::int / 1000.0) AS t_%s", "SELECT $1::int AS u_%s"}
	mysql      = dialect{"SELECT SLEEP(? / 1000) AS t_%s", "SELECT ? AS u_%s"}
)

type standard struct {
	pool *sql.DB
	dialect
}

func openStandard(driver, source string, connections int) standard {
	name, chosen := map[string]string{"pq": "postgres", "pgx-stdlib": "pgx", "mysql": "mysql"}[driver], postgresql
	if driver == "mysql" {
		chosen = mysql
	}
	pool, err := sql.Open(name, source)
	check(err)
	pool.SetMaxOpenConns(connections)
	// Some connections come and go: what opens them must not be taken for a caller.
	pool.SetMaxIdleConns(connections/2 + 1)
	pool.SetConnMaxLifetime(2 * time.Second)
	return standard{pool, chosen}
}

type queries interface {
	QueryContext(ctx context.Context, query string, arguments ...any) (*sql.Rows, error)
}

func read(ctx context.Context, on queries, query string, argument int) error {
	rows, err := on.QueryContext(ctx, query, argument)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	_ = rows.Close()
	return rows.Err()
}

func (s standard) slow(ctx context.Context, id string, delay int) error {
	return read(ctx, s.pool, fmt.Sprintf(s.dialect.slow, id), delay)
}

func (s standard) quick(ctx context.Context, id string) error {
	return read(ctx, s.pool, fmt.Sprintf(s.dialect.quick, id), 1)
}

func (s standard) transaction(ctx context.Context, id string, delay int) error {
	tx, err := s.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err = read(ctx, tx, fmt.Sprintf(s.dialect.slow, id), delay); err == nil {
		err = read(ctx, tx, fmt.Sprintf(s.dialect.quick, id), 2)
	}
	if err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

type pgx struct{ pool *pgxpool.Pool }

func openPgx(source string, connections int) pgx {
	config, err := pgxpool.ParseConfig(source)
	check(err)
	config.MaxConns = int32(connections)
	// Its health check opens and closes connections meanwhile.
	config.MinConns = int32(connections/4 + 1)
	config.MaxConnLifetime = 2 * time.Second
	config.HealthCheckPeriod = 200 * time.Millisecond
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	check(err)
	return pgx{pool}
}

func (p pgx) slow(ctx context.Context, id string, delay int) error {
	_, err := p.pool.Exec(ctx, fmt.Sprintf(postgresql.slow, id), delay)
	return err
}

func (p pgx) quick(ctx context.Context, id string) error {
	_, err := p.pool.Exec(ctx, fmt.Sprintf(postgresql.quick, id), 1)
	return err
}

func (p pgx) transaction(ctx context.Context, id string, delay int) error {
	tx, err := p.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err = tx.Exec(ctx, fmt.Sprintf(postgresql.slow, id), delay); err != nil {
		return err
	}
	if _, err = tx.Exec(ctx, fmt.Sprintf(postgresql.quick, id), 2); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

type cache struct{ client *redis.Client }

func (c cache) slow(ctx context.Context, id string, delay int) error {
	err := c.client.Do(ctx, "BLPOP", "t_"+id, float64(delay)/1000).Err()
	if err == redis.Nil {
		return nil
	}
	return err
}

func (c cache) quick(ctx context.Context, id string) error {
	return c.client.Set(ctx, "u_"+id, "secret", 0).Err()
}

func (c cache) transaction(ctx context.Context, id string, _ int) error {
	_, err := c.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "t_"+id, "secret", 0)
		pipe.Set(ctx, "u_"+id, "secret", 0)
		return nil
	})
	return err
}

func open(driver, source string, connections int) store {
	switch driver {
	case "pgx":
		return openPgx(source, connections)
	case "redis":
		return cache{redis.NewClient(&redis.Options{Addr: source, PoolSize: connections, MinIdleConns: connections / 4,
			ConnMaxLifetime: 2 * time.Second, ReadTimeout: time.Minute, PoolTimeout: time.Minute})}
	}
	return openStandard(driver, source, connections)
}

func serve(driver, source string, connections int) {
	var once sync.Once
	var lazily store
	opened := func() store {
		// The pool's own goroutines are started by the first request, as in many a program.
		once.Do(func() { lazily = open(driver, source, connections) })
		return lazily
	}
	handle := func(path string, work func(ctx context.Context, id string, delay int) error) {
		http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			query := r.URL.Query()
			delay, _ := strconv.Atoi(query.Get("delay"))
			if err := work(r.Context(), query.Get("id"), delay); err != nil {
				fmt.Fprintln(os.Stderr, err)
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
	}
	handle("/two", func(ctx context.Context, id string, delay int) error {
		if err := opened().slow(ctx, id, delay); err != nil {
			return err
		}
		return opened().quick(ctx, id)
	})
	handle("/fan", func(ctx context.Context, id string, delay int) error {
		failed := make(chan error, 1)
		go func() { failed <- opened().slow(ctx, id, delay) }()
		if err := opened().quick(ctx, id); err != nil {
			return err
		}
		return <-failed
	})
	handle("/transaction", func(ctx context.Context, id string, delay int) error {
		return opened().transaction(ctx, id, delay)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	check(http.Serve(listener, nil))
}

func main() {
	driver, source := os.Args[2], os.Args[3]
	if os.Args[1] == "handler" {
		connections, err := strconv.Atoi(os.Args[4])
		check(err)
		serve(driver, source, connections)
	}
	fmt.Println("ready")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	batch := 12
	if len(os.Args) > 4 {
		batch, err = strconv.Atoi(os.Args[4])
		check(err)
	}
	works[driver](source, batch)
	fmt.Println("done")
}
