// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// node_http.js serve LOG | proxy LOG BACKEND | client
// The same contract as go/main.go. `proxy` uses the http module's agent for /http and the global
// fetch for anything else; /timer, /immediate, /pool and /mixed call one of both, later.
'use strict';
const fs = require('fs');
const http = require('http');
const readline = require('readline');

const [mode, logPath, backend] = process.argv.slice(2);
const log = mode === 'client' ? -1 : fs.openSync(logPath, 'a');

function logged(handler) {
  return (request, response) => {
    const start = Date.now();
    let bytes = 0;
    response.on('close', () => {
      fs.writeSync(log, JSON.stringify({
        id: request.headers['x-id'] || '', method: request.method, target: request.url,
        status: response.statusCode, bytes, start: start / 1000, end: Date.now() / 1000,
      }) + '\n');
    });
    handler(request, response, (n) => { bytes += n; });
  };
}

function answer(request, response, sent) {
  const query = new URL(request.url, 'http://x').searchParams;
  const number = (name, otherwise) => query.has(name) ? Number(query.get(name)) : otherwise;
  const finish = () => {
    const status = number('status', 200);
    const size = number('size', 0);
    response.statusCode = status;
    if (status === 204 || status === 304) return response.end();
    if (status === 301) response.setHeader('Location', '/moved');
    if (number('chunked', 0) === 1) {
      for (let left = size; left > 0; left -= 1000) response.write('x'.repeat(Math.min(left, 1000)));
      if (request.method !== 'HEAD') sent(size);
      return response.end();
    }
    response.setHeader('Content-Length', size);
    if (request.method !== 'HEAD') sent(size);
    response.end(request.method === 'HEAD' ? undefined : 'x'.repeat(size));
  };
  request.on('end', () => {
    const delay = number('delay', 0);
    if (delay > 0) setTimeout(finish, delay); else finish();
  });
  request.resume();
}

const agent = new http.Agent({keepAlive: true, maxSockets: 64});

// Ways to go on with a request later, in the midst of what the loop does for others.
const later = {
  '/timer': (go) => setTimeout(go, 1 + Math.floor(Math.random() * 20)),
  '/immediate': (go) => setImmediate(go),
  '/pool': (go) => fs.stat('/', go),
  '/mixed': (go) => Object.values(later)[Math.floor(Math.random() * 3)](go),
};

function proxy(request, response, sent) {
  const wait = later[request.url.split('?')[0]];
  if (wait) wait(() => call(request, response, sent)); else call(request, response, sent);
}

function call(request, response, sent) {
  const id = request.headers['x-id'] || '';
  const reply = (status, body) => {
    response.writeHead(status, {'Content-Length': body.length});
    sent(body.length);
    response.end(body);
  };
  if (request.url.startsWith('/http') || Math.random() < 0.5 && later[request.url.split('?')[0]]) {
    http.get(backend + request.url, {agent, headers: {'x-id': id}}, (upstream) => {
      const parts = [];
      upstream.on('data', (part) => parts.push(part));
      upstream.on('end', () => reply(upstream.statusCode, Buffer.concat(parts)));
    }).on('error', () => reply(502, Buffer.alloc(0)));
  } else {
    fetch(backend + request.url, {headers: {'x-id': id}})
      .then(async (upstream) => reply(upstream.status, Buffer.from(await upstream.arrayBuffer())))
      .catch(() => reply(502, Buffer.alloc(0)));
  }
}

async function client() {
  console.log('listening 0');
  for await (const line of readline.createInterface({input: process.stdin})) {
    const [method, url, size] = line.split(' ');
    try {
      const response = await fetch(url, {
        method, redirect: 'manual', body: Number(size) > 0 ? 'b'.repeat(Number(size)) : undefined,
      });
      console.log(response.status, (await response.arrayBuffer()).byteLength);
    } catch (error) {
      console.log('error', String(error));
    }
  }
}

if (mode === 'client') {
  client();
} else {
  const server = http.createServer(logged(mode === 'proxy' ? proxy : answer));
  server.on('checkContinue', (request, response) => {
    response.writeContinue();
    server.emit('request', request, response);
  });
  server.listen(0, '127.0.0.1', 1024, () => console.log('listening', server.address().port));
}
