// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// client.mjs PORT: calls server.mjs with graphql-request, Apollo's client and jayson, once a line has come on standard input.
import { createRequire } from 'node:module';
import { GraphQLClient, gql } from 'graphql-request';

const require = createRequire(import.meta.url);
const { ApolloClient, HttpLink, InMemoryCache } = require('@apollo/client/core');
const jayson = require('jayson');

const port = Number(process.argv[2]);
const url = `http://127.0.0.1:${port}/graphql`;
const deep = (depth) => (depth === 0 ? '{ id title }' : `{ id title author ${deep(depth - 1)} }`);
// More than is kept of a body.
const LONG = `query Long { book ${deep(80)} }`;
const BOOK = 'query Book($id: ID) { book(id: $id) { id title author { id } } }';
const TWO = 'query First { books { id } } mutation Second { rename(id: "2", title: "}{") { ...Title } } fragment Title on Book { title }';

async function graphqlRequest() {
  const client = new GraphQLClient(url);
  await client.request(gql`${BOOK}`, { id: '7' });
  await client.request(gql`query { books { id } }`);
  await client.request('{ books { title } }');
  await client.request(gql`mutation Rename($id: ID!) { rename(id: $id, title: "tw\\"o") { title } }`, { id: '2' });
  await client.request(gql`query Fails { fails }`).catch(() => undefined);
}

async function plain() {
  await (await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: TWO, operationName: 'Second' }),
  })).text();
  await (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/graphql' }, body: BOOK })).text();
}

async function apollo() {
  const client = new ApolloClient({ link: new HttpLink({ uri: url }), cache: new InMemoryCache() });
  const parse = require('graphql').parse;
  await client.query({ query: parse(BOOK), variables: { id: '8' }, fetchPolicy: 'no-cache' });
  await client.mutate({ mutation: parse('mutation ApolloRename { rename(id: "1", title: "x") { id } }') });
  await client.query({ query: parse(LONG.replace('Long', 'ApolloLong')), fetchPolicy: 'no-cache' });
}

function call(client, method, parameters, id) {
  return new Promise((resolve, reject) => {
    client.request(method, parameters, id, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

async function rpc() {
  const client = jayson.Client.http({ port, host: '127.0.0.1', path: '/rpc' });
  await call(client, 'add', [1, 2]);
  await call(client, 'add', [1, 2], 17);
  await call(client, 'text/repeat', { text: 'long', count: 2000 }, 'an "id"');
  await call(client, 'add', ['y'.repeat(3000), 'z'], 'behind what is long');
  await call(client, 'fails', [], 'f');
  await call(client, 'missing', [], 'm');
  await call(client, 'notify', [], null);
}

// What the server logs as well, and of which the spans can say nothing: the document does not fit, or there are several calls.
async function notTold() {
  const client = new GraphQLClient(url);
  await client.request(LONG);
  const batch = jayson.Client.http({ port, host: '127.0.0.1', path: '/rpc' });
  const calls = [batch.request('add', [1, 2], 'batch 1', false), batch.request('add', [3, 4], 'batch 2', false)];
  await new Promise((resolve) => { batch.request(calls, resolve); });
}

process.stdin.once('data', async () => {
  await graphqlRequest();
  await plain();
  await apollo();
  await rpc();
  console.log('told');
  await notTold();
  console.log('done');
  process.exit(0);
});
console.log('ready');
