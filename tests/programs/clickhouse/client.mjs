// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// client.mjs PORT USER PASSWORD: statements by ClickHouse's own client for Node.js, once a line came on standard input. Prints
// "ready" before, and "done" at the end.
import { createInterface } from 'node:readline';
import { createClient } from '@clickhouse/client';

const [port, username, password] = process.argv.slice(2);
const client = createClient({ url: `http://127.0.0.1:${port}`, username, password, database: 'shop', max_open_connections: 5 });
const lines = createInterface({ input: process.stdin });
console.log('ready');
await lines[Symbol.asyncIterator]().next();

async function fails(what) {
  try {
    await what;
  } catch (error) {
    return;
  }
  throw new Error('it does not fail');
}

const table = 'shop.notes';
await client.command({ query: `CREATE TABLE ${table} (number UInt32, title String) ENGINE = Memory` });
for (let number = 0; number < 20; number += 1) {
  const values = [0, 1, 2].map((i) => ({ number: 31337000 + number * 10 + i, title: `secret '${i}' \\ it's\n${number}` }));
  await client.insert({ table, values, format: 'JSONEachRow' });
}
async function ask(number) {
  const answer = await client.query({
    query: `SELECT title FROM ${table} WHERE number = ${31337000 + number * 10} AND title != 'secret ''' -- secret`,
    format: 'JSONEachRow',
  });
  if ((await answer.json()).length !== 1) {
    throw new Error(`no row ${number}`);
  }
  await fails(client.query({ query: `SELECT "no such" FROM ${table} WHERE title = 'secret'`, format: 'JSONEachRow' }));
  await fails(client.command({ query: `DROP TABLE shop.nowhere` }));
  // With its rows in the statement itself.
  await client.command({ query: `INSERT INTO ${table} (number, title) VALUES (31337${number}, 'secret \\' a'), (1, 'secret')` });
}
await Promise.all([...Array(20).keys()].map(ask));
for (let number = 0; number < 20; number += 1) {
  await ask(number);
}
await client.command({ query: `DROP TABLE ${table}` });
await client.close();
lines.close();
console.log('done');
