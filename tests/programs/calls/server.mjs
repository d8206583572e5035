// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// GraphQL (graphql-yoga) at /graphql and JSON-RPC (jayson) at /rpc, on a free port of 127.0.0.1. Prints the port, and one JSON line
// for each operation that was run and each call that was answered.
import http from 'node:http';
import { getOperationAST } from 'graphql';
import { createSchema, createYoga } from 'graphql-yoga';
import jayson from 'jayson';

const tell = (line) => console.log(JSON.stringify(line));

const schema = createSchema({
  typeDefs: `
    type Book { id: ID! title: String! author: Book }
    type Query { book(id: ID): Book! books: [Book!]! fails: String }
    type Mutation { rename(id: ID!, title: String!): Book! }`,
  resolvers: {
    Query: {
      book: (parent, { id }) => ({ id: id || '1', title: 'one' }),
      books: () => [{ id: '1', title: 'one' }, { id: '2', title: 'two' }],
      fails: () => { throw new Error('as it should'); },
    },
    Mutation: { rename: (parent, book) => book },
  },
});
const yoga = createYoga({
  schema,
  logging: false,
  plugins: [{
    onExecute({ args }) {
      const operation = getOperationAST(args.document, args.operationName);
      tell({ graphql: operation.operation, name: operation.name ? operation.name.value : '' });
    },
  }],
});

const rpc = new jayson.Server({
  add: ([a, b], done) => done(null, a + b),
  'text/repeat': ({ text, count }, done) => done(null, text.repeat(count)),
  fails: (parameters, done) => done({ code: 1234, message: 'as it should', data: 'x'.repeat(3000) }),
  notify: (parameters, done) => done(null, 'nobody reads this'),
});
rpc.on('response', (request, answer) => {
  if (Array.isArray(request)) return;
  tell({ rpc: request.method, id: request.id === undefined ? '' : String(request.id), error: answer && answer.error ? String(answer.error.code) : '' });
});
const answer = rpc.middleware();

http.createServer((request, response) => {
  if (request.url.startsWith('/graphql')) {
    yoga(request, response);
    return;
  }
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    request.body = JSON.parse(Buffer.concat(parts).toString());
    answer(request, response, () => response.writeHead(404).end());
  });
}).listen(0, '127.0.0.1', function listening() {
  console.log(`port ${this.address().port}`);
});
