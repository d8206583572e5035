// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// sql.js handler DRIVER PORT CONNECTIONS: an HTTP server whose handlers send statements, with the request's id in them, over
// connections of a pool. sql.js work DRIVER PORT: works with a database after a line on standard input, and prints "ready"
// before.

const http = require('node:http');

function want(what, is) {
  if (!is) throw new Error(what);
}

async function refused(promise, code) {
  const error = await promise.then(() => null, (e) => e);
  want(`${code}, not ${error && (error.code + error.errno)}`, error && (error.code === code || error.errno === code));
}

const open = {
  pg(port, connections) {
    const { Pool } = require('pg');
    const pool = new Pool({ host: '127.0.0.1', port, user: 'app', database: 'postgres', max: connections });
    return {
      pool,
      slow: (id, delay, on) => (on || pool).query(`SELECT pg_sleep($1) AS t_${id}`, [delay / 1000]),
      quick: (id, on) => (on || pool).query(`SELECT $1::int AS u_${id}`, [1]),
      take: () => pool.connect(),
    };
  },
  mysql2(port, connections) {
    const pool = require('mysql2/promise').createPool({
      host: '127.0.0.1', port, user: 'app', database: 'shop', connectionLimit: connections, multipleStatements: true,
    });
    return {
      pool,
      slow: (id, delay, on) => (on || pool).query(`SELECT SLEEP(?) AS t_${id}`, [delay / 1000]),
      quick: (id, on) => (on || pool).execute(`SELECT ? AS u_${id}`, [1]),
      take: () => pool.getConnection(),
    };
  },
  ioredis(port) {
    const client = new (require('ioredis'))(port, '127.0.0.1', { enableReadyCheck: false });
    const command = { slow: (id) => client.get(`t_${id}`), quick: (id) => client.set(`u_${id}`, 'secret') };
    return { ...command, take: async () => ({ ...command, release() {} }) };
  },
};

function handler(driver, port, connections) {
  const store = open[driver](port, connections);
  const other = open[driver](port, connections);
  const handlers = {
    async '/two'(id, delay) {
      await store.slow(id, delay);
      await store.quick(id);
    },
    async '/taken'(id, delay) {
      const taken = await store.take();
      await store.slow(id, delay, taken);
      await store.quick(id, taken);
      taken.release();
    },
    // The second statement goes out on another pool's connection.
    async '/across'(id, delay) {
      await store.slow(id, delay);
      await other.quick(id);
    },
    async '/both'(id, delay) {
      await Promise.all([store.slow(id, delay), other.quick(id)]);
    },
  };
  const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://host');
    handlers[url.pathname](url.searchParams.get('id'), Number(url.searchParams.get('delay'))).then(
      () => response.end(), (error) => {
        console.error(error);
        response.statusCode = 500;
        response.end();
      });
  });
  server.listen(0, '127.0.0.1', 1000, () => console.log('listening', server.address().port));
}

const work = {
  async pg(port) {
    const { pool } = open.pg(port, 1);
    const Cursor = require('pg-cursor');
    await pool.query('CREATE TEMP TABLE one (a int PRIMARY KEY, b text)');
    for (let i = 0; i < 10; i++) await pool.query('INSERT INTO one VALUES ($1, $2)', [i, `secret ${i}`]);
    for (let i = 0; i < 4; i++) {
      const found = await pool.query({ name: 'below', text: 'SELECT a, b FROM one WHERE a < $1', values: [i] });
      want('rows', found.rowCount === i);
    }
    await pool.query("UPDATE one SET b = 'secret' WHERE a = 3; DELETE FROM one WHERE a = 4");
    await refused(pool.query('INSERT INTO one VALUES ($1, $2)', [1, 'secret']), '23505');
    await refused(pool.query('SELECT nothing FROM nowhere WHERE a = $1', [1]), '42P01');
    await refused(pool.query("SELEKT 'secret'"), '42601');
    const client = await pool.connect();
    await client.query('BEGIN');
    // Queued on one connection.
    await Promise.all(Array.from({ length: 30 }, (_, i) => client.query('SELECT $1::int + 1', [i])));
    const cursor = client.query(new Cursor('SELECT g FROM generate_series(1, $1::int) g', [120]));
    let rows = 0;
    for (let some = await cursor.read(50); some.length; some = await cursor.read(50)) rows += some.length;
    want('rows of a cursor', rows === 120);
    await cursor.close();
    await client.query("SELECT repeat('x', 100) FROM generate_series(1, 3000)");
    await client.query('COMMIT');
    client.release();
    await pool.end();
  },
  async mysql2(port) {
    const { pool } = open.mysql2(port, 1);
    await pool.query('CREATE TABLE noded (a INT PRIMARY KEY, b TEXT)');
    for (let i = 0; i < 10; i++) await pool.execute('INSERT INTO noded VALUES (?, ?)', [i, `secret ${i}`]);
    for (let i = 0; i < 4; i++) {
      const [rows] = await pool.execute('SELECT a, b FROM noded WHERE a < ?', [i]);
      want('rows', rows.length === i);
    }
    await pool.query("UPDATE noded SET b = 'secret' WHERE a = 3; DELETE FROM noded WHERE a = 4");
    await refused(pool.query('INSERT INTO noded VALUES (?, ?)', [1, 'secret']), 1062);
    await refused(pool.execute('SELECT nothing FROM nowhere WHERE a = ?', [1]), 1146);
    await refused(pool.query("SELEKT 'secret'"), 1064);
    const connection = await pool.getConnection();
    await connection.beginTransaction();
    await Promise.all(Array.from({ length: 30 }, (_, i) => connection.execute('SELECT ? + 1', [i])));
    await connection.query("SELECT seq, REPEAT('x', 50) FROM seq_1_to_3000");
    await connection.rollback();
    await connection.ping();
    connection.release();
    await pool.end();
  },
};

const [mode, driver, port, connections] = process.argv.slice(2);
if (mode === 'handler') {
  handler(driver, Number(port), Number(connections));
} else {
  console.log('ready');
  process.stdin.once('data', () => work[driver](Number(port)).then(() => {
    console.log('done');
    process.exit(0);
  }, (error) => {
    console.error(error);
    process.exit(1);
  }));
}
