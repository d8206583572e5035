// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"

	gomysql "github.com/go-sql-driver/mysql"
	pgx5 "github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/lib/pq"
)

var works = map[string]func(string, int){"pq": workPq, "pgx": workPgx, "pgx-stdlib": workPgxStdlib, "mysql": workMysql}

var ctx = context.Background()

func execute(on interface {
	Exec(string, ...any) (sql.Result, error)
}, query string, arguments ...any) {
	_, err := on.Exec(query, arguments...)
	check(err)
}

func count(rows *sql.Rows, err error) int {
	check(err)
	found := 0
	for rows.Next() {
		found++
	}
	check(rows.Err())
	return found
}

func want(what string, is bool) {
	if !is {
		panic(what)
	}
}

// What database/sql does with PostgreSQL's drivers alike.
func workStandard(db *sql.DB, code func(error) string) {
	db.SetMaxOpenConns(1)
	execute(db, "CREATE TEMP TABLE one (a int PRIMARY KEY, b text)")
	for i := 0; i < 10; i++ {
		execute(db, "INSERT INTO one VALUES ($1, $2)", i, fmt.Sprintf("secret %d", i))
	}
	execute(db, "UPDATE one SET b = 'secret' WHERE a = 3; DELETE FROM one WHERE a = 4")
	prepared, err := db.Prepare("SELECT b FROM one WHERE a > $1")
	check(err)
	for i := 0; i < 5; i++ {
		left := 9 - i
		if i < 4 {
			left--
		}
		want("rows", count(prepared.Query(i)) == left)
	}
	check(prepared.Close())
	_, err = db.Exec("INSERT INTO one VALUES ($1, 'secret')", 1)
	want("a duplicate", code(err) == "23505")
	_, err = db.Exec("SELECT nothing FROM nowhere WHERE a = $1", 1)
	want("no table", code(err) == "42P01")
	_, err = db.Exec("SELEKT 'secret'")
	want("no statement", code(err) == "42601")
	tx, err := db.Begin()
	check(err)
	execute(tx, "UPDATE one SET b = $1 WHERE a = 5", strings.Repeat("secret", 3000))
	want("rows of generate_series", count(tx.Query("SELECT g, repeat('x', 50) FROM generate_series(1, $1::int) g", 3000)) == 3000)
	check(tx.Commit())
	tx, err = db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true})
	check(err)
	want("rows", count(tx.Query("SELECT a FROM one WHERE a IN (1, 2, 3)")) == 3)
	check(tx.Rollback())
}

func workPq(source string, _ int) {
	db, err := sql.Open("postgres", source)
	check(err)
	workStandard(db, func(err error) string {
		var failed *pq.Error
		errors.As(err, &failed)
		return string(failed.Code)
	})
	tx, err := db.Begin()
	check(err)
	copy, err := tx.Prepare(pq.CopyIn("one", "a", "b"))
	check(err)
	for i := 1000; i < 6000; i++ {
		_, err = copy.Exec(i, "secret copied")
		check(err)
	}
	_, err = copy.Exec()
	check(err)
	check(copy.Close())
	check(tx.Commit())
	want("copied", count(db.Query("SELECT a FROM one WHERE a >= 1000")) == 5000)
	check(db.Close())
	// Parameters in one turn, without a Parse that is answered before.
	db, err = sql.Open("postgres", source+" binary_parameters=yes")
	check(err)
	want("binary", count(db.Query("SELECT g FROM generate_series(1, $1::int) g", 7)) == 7)
	check(db.Close())
}

func pgxCode(err error) string {
	var failed *pgconn.PgError
	errors.As(err, &failed)
	return failed.Code
}

func workPgxStdlib(source string, _ int) {
	db, err := sql.Open("pgx", source)
	check(err)
	workStandard(db, pgxCode)
	check(db.Close())
}

func workPgx(source string, size int) {
	config, err := pgxpool.ParseConfig(source)
	check(err)
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(ctx, config)
	check(err)
	run := func(query string, arguments ...any) {
		_, err := pool.Exec(ctx, query, arguments...)
		check(err)
	}
	run("CREATE TEMP TABLE two (a int PRIMARY KEY, b text)")
	for i := 0; i < 10; i++ {
		run("INSERT INTO two VALUES ($1, $2)", i, "secret")
	}
	// Each way that it has to send a statement.
	for i, mode := range []pgx5.QueryExecMode{pgx5.QueryExecModeCacheStatement, pgx5.QueryExecModeCacheDescribe,
		pgx5.QueryExecModeDescribeExec, pgx5.QueryExecModeExec, pgx5.QueryExecModeSimpleProtocol} {
		for j := 0; j < 2; j++ {
			rows, err := pool.Query(ctx, fmt.Sprintf("SELECT a, b AS way_%d FROM two WHERE a < $1", i), mode, 5)
			check(err)
			all, err := pgx5.CollectRows(rows, pgx5.RowToMap)
			check(err)
			want("five rows", len(all) == 5)
			_, err = pool.Exec(ctx, fmt.Sprintf("INSERT INTO two VALUES ($1, 'secret %d')", i), mode, 1)
			want("a duplicate", pgxCode(err) == "23505")
		}
	}
	_, err = pool.Exec(ctx, "SELECT nothing FROM nowhere WHERE a = $1", 1)
	want("no table", pgxCode(err) == "42P01")

	for _, fails := range []bool{false, true} {
		batch := &pgx5.Batch{}
		for i := 0; i < size; i++ {
			batch.Queue("UPDATE two SET b = $2 WHERE a = $1", i%10, "secret")
			batch.Queue("SELECT a FROM two WHERE a < $1", 7)
			if fails && i == size/2 {
				batch.Queue("SELECT 1 / ($1::int - 3)", 3)
			}
		}
		err = pool.SendBatch(ctx, batch).Close()
		want("a batch", fails == (err != nil) && (!fails || pgxCode(err) == "22012"))
	}
	simple := &pgx5.Batch{}
	simple.Queue("SELECT 'secret'")
	simple.Queue("INSERT INTO two VALUES (500, 'secret')")
	check(pool.SendBatch(ctx, simple).Close())

	copied, err := pool.CopyFrom(ctx, pgx5.Identifier{"two"}, []string{"a", "b"}, pgx5.CopyFromSlice(20000, func(i int) ([]any, error) {
		return []any{i + 1000, "secret copied"}, nil
	}))
	check(err)
	want("copied", copied == 20000)
	_, err = pool.CopyFrom(ctx, pgx5.Identifier{"two"}, []string{"a", "b"}, pgx5.CopyFromSlice(3, func(i int) ([]any, error) {
		return []any{1, "secret again"}, nil
	}))
	want("a duplicate", pgxCode(err) == "23505")
	check(pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		_, err := conn.Conn().PgConn().CopyTo(ctx, io.Discard, "COPY two TO STDOUT")
		check(err)
		pipeline := conn.Conn().PgConn().StartPipeline(ctx)
		for i := 0; i < 20; i++ {
			pipeline.SendQueryParams("SELECT $1::int + 1", [][]byte{[]byte("5")}, nil, nil, nil)
			if i%5 == 0 {
				check(pipeline.Sync())
			}
		}
		check(pipeline.Sync())
		for {
			results, err := pipeline.GetResults()
			check(err)
			if results == nil {
				break
			}
			if reader, is := results.(*pgconn.ResultReader); is {
				reader.Read()
			}
		}
		check(pipeline.Close())
		return nil
	}))
	check(pgx5.BeginFunc(ctx, pool, func(tx pgx5.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM two WHERE a = ANY($1)", []int{1, 2, 3})
		check(err)
		check(pgx5.BeginFunc(ctx, tx, func(inner pgx5.Tx) error {
			_, err := inner.Exec(ctx, "INSERT INTO two VALUES ($1, $2)", 1, "secret")
			return err
		}))
		return nil
	}))
	check(pool.Ping(ctx))
	pool.Close()
}

func workMysql(source string, _ int) {
	db, err := sql.Open("mysql", source)
	check(err)
	db.SetMaxOpenConns(1)
	failed := func(err error) uint16 {
		var is *gomysql.MySQLError
		errors.As(err, &is)
		return is.Number
	}
	execute(db, "CREATE TABLE gone (a INT PRIMARY KEY, b TEXT)")
	for i := 0; i < 10; i++ {
		execute(db, "INSERT INTO gone VALUES (?, ?)", i, fmt.Sprintf("secret %d", i))
	}
	prepared, err := db.Prepare("SELECT b FROM gone WHERE a > ?")
	check(err)
	for i := 0; i < 5; i++ {
		want("rows", count(prepared.Query(i)) == 9-i)
	}
	check(prepared.Close())
	want("rows", count(db.Query("SELECT a FROM gone WHERE a IN (1, 2, 3)")) == 3)
	want("many rows", count(db.Query("SELECT seq, REPEAT('x', 50) FROM seq_1_to_3000")) == 3000)
	_, err = db.Exec("INSERT INTO gone VALUES (?, 'secret')", 1)
	want("a duplicate", failed(err) == 1062)
	_, err = db.Exec("SELECT nothing FROM nowhere")
	want("no table", failed(err) == 1146)
	_, err = db.Exec("SELEKT 'secret'")
	want("no statement", failed(err) == 1064)
	tx, err := db.Begin()
	check(err)
	execute(tx, "UPDATE gone SET b = ? WHERE a = 5", strings.Repeat("secret", 3000))
	check(tx.Rollback())
	gomysql.RegisterReaderHandler("rows", func() io.Reader {
		return strings.NewReader("a line to ignore\n200\tsecret loaded\n")
	})
	execute(db, "LOAD DATA LOCAL INFILE 'Reader::rows' INTO TABLE gone IGNORE 1 LINES")
	check(db.Ping())
	check(db.Close())

	db, err = sql.Open("mysql", source+"?interpolateParams=true&multiStatements=true")
	check(err)
	execute(db, "UPDATE gone SET b = ? WHERE a = ?", "secret", 7)
	execute(db, "DELETE FROM gone WHERE a = 8; DELETE FROM gone WHERE a = 9")
	check(db.Close())
}
