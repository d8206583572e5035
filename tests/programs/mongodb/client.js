// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// client.js work URI: works with a MongoDB server after a line on standard input, prints "ready" before, and one line of JSON for
// each command that the driver reports. client.js handler URI CONNECTIONS: an HTTP server whose handlers send two commands
// each, with the request's id in them.

const http = require('node:http');
const { MongoClient } = require('mongodb');

async function refused(promise) {
  if (await promise.then(() => true, () => false)) throw new Error('it worked');
}

function listen(client) {
  const open = new Map();
  const finish = (event, rows, error) => console.log(JSON.stringify({ ...open.get(event.requestId), rows, error }));
  client.on('commandStarted', ({ requestId, commandName, databaseName, command }) => {
    const name = commandName === 'getMore' ? command.collection : command[commandName];
    const batch = Math.max(...['documents', 'updates', 'deletes'].map((key) => (command[key] || []).length));
    open.set(requestId, { name: commandName, database: databaseName, collection: typeof name === 'string' ? name : '', batch });
  });
  client.on('commandSucceeded', (event) => {
    const cursor = (event.reply && event.reply.cursor) || {};
    const rows = cursor.firstBatch || cursor.nextBatch;
    const wrong = event.reply && event.reply.writeErrors;
    finish(event, rows ? rows.length : -1, wrong ? `${wrong[0].code}` : '');
  });
  client.on('commandFailed', (event) => finish(event, -1, `${event.failure.code}`));
}

async function work(uri) {
  console.log('ready');
  await new Promise((go) => process.stdin.once('data', go));
  const client = new MongoClient(uri, { monitorCommands: true });
  listen(client);
  const shop = client.db('shop');
  const users = shop.collection('users');
  await client.db('admin').command({ ping: 1 });
  for (let i = 0; i < 20; ++i) await users.insertOne({ _id: i, name: `secret ${i}`, age: i });
  await users.insertMany(Array.from({ length: 300 }, (_, i) => ({ _id: 100 + i, name: 'secret '.repeat(20), age: i })));
  await refused(users.insertOne({ _id: 1 }));
  await users.find({ age: { $lt: 10 }, _id: { $lt: 50 } }, { batchSize: 4 }).toArray();
  await users.find({}, { batchSize: 200 }).toArray();
  await users.updateMany({ age: { $lt: 3 } }, { $set: { name: 'secret' } });
  await users.deleteOne({ _id: 4 });
  await users.aggregate([{ $match: { name: 'secret' } }, { $group: { _id: '$name', n: { $sum: 1 } } }]).toArray();
  await users.findOneAndUpdate({ _id: 7 }, { $set: { name: 'secret' } });
  await shop.listCollections().toArray();
  await refused(shop.command({ noSuchCommand: 'secret' }));
  await refused(shop.command({ create: 'users' }));
  await Promise.all(Array.from({ length: 30 }, (_, i) => shop.collection(`c${i}`).insertOne({ _id: i, name: 'secret' })));
  await users.drop();
  await client.close();
  console.log('done');
  process.exit(0);
}

function handler(uri, connections) {
  const shop = new MongoClient(uri, { maxPoolSize: Number(connections) }).db('shop');
  const server = http.createServer(async (request, response) => {
    const query = new URL(request.url, 'http://host').searchParams;
    for (const letter of ['t', 'u']) {
      await shop.collection(`${letter}_${query.get('id')}`).findOne({ name: 'secret' });
      await new Promise((go) => setTimeout(go, Number(query.get('delay'))));
    }
    response.end();
  });
  server.listen(0, '127.0.0.1', 400, () => console.log('listening', server.address().port));
}

({ work, handler })[process.argv[2]](...process.argv.slice(3));
