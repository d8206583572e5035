// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// app.js BACKEND: knows nothing of OpenTelemetry; what is loaded before it does.
// A request for /HOW/... asks BACKEND for the same target: with the module http (HOW known), with fetch (fetch), with
// what no instrumentation knows (plain), or with http and then plainly (mixed).
'use strict';
const http = require('http');
const net = require('net');

const backend = new URL(process.argv[2]);
const sockets = new Set();

function askKnown(target) {
  return new Promise((resolve, reject) => {
    http.get(backend.origin + target, (response) => {
      response.on('data', () => {});
      response.on('end', resolve);
    }).on('error', reject);
  });
}

async function askFetch(target) {
  await (await fetch(backend.origin + target)).arrayBuffer();
}

function askPlainly(target) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(backend.port), backend.hostname, () => {
      socket.write(`GET ${target} HTTP/1.1\r\nHost: ${backend.host}\r\nConnection: close\r\n\r\n`);
    });
    socket.on('data', () => {});
    socket.on('end', resolve);
    socket.on('error', reject);
  });
}

const ways = {known: [askKnown], fetch: [askFetch], plain: [askPlainly], mixed: [askKnown, askPlainly]};

const server = http.createServer(async (request, response) => {
  try {
    for (const ask of ways[request.url.split('/')[1]]) await ask(request.url);
    response.end('done');
  } catch (error) {
    response.statusCode = 502;
    response.end(String(error));
  }
});
server.on('connection', (socket) => {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
});
// The SDK flushes at this signal too.
process.on('SIGTERM', () => {
  server.close();
  for (const socket of sockets) socket.destroy();
});
server.listen(0, '127.0.0.1', 1024, () => console.log('listening', server.address().port));
