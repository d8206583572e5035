// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// service.js http|express|fastify: the services in Node.js of the parents benchmark (../README.md). Each with another client: the
// http module's agent, fetch(), undici's request().
'use strict';
const http = require('http');
const {setTimeout: sleep} = require('timers/promises');
const grpc = require('@grpc/grpc-js');
const pg = require('pg');

const mode = process.argv[2];
const url = process.env.HTTP_URL;
const agent = new http.Agent({keepAlive: true, maxSockets: 64});

const getters = {
  http: (target) => new Promise((resolve, reject) => {
    http.get(target, {agent}, (answer) => {
      answer.resume();
      answer.on('end', () => answer.statusCode === 200 ? resolve() : reject(new Error(`status ${answer.statusCode}`)));
    }).on('error', reject);
  }),
  express: async (target) => {
    const answer = await fetch(target);
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
  },
  fastify: async (target) => {
    const {statusCode, body} = await require('undici').request(target);
    await body.arrayBuffer();
    if (statusCode !== 200) throw new Error(`status ${statusCode}`);
  },
};

const pool = process.env.PGHOST && new pg.Pool({max: 16});
const stub = process.env.GRPC_TARGET && new grpc.Client(process.env.GRPC_TARGET, grpc.credentials.createInsecure());
const bytes = (value) => value;

const kinds = {
  http: (name) => getters[mode](url + name),
  grpc: (name) => new Promise((resolve, reject) => {
    const metadata = new grpc.Metadata();
    metadata.set('x-id', name);
    stub.makeUnaryRequest('/parents.Service/Call', bytes, bytes, Buffer.alloc(0), metadata, (error) => error ? reject(error) : resolve());
  }),
  sql: (name) => pool.query(`SELECT pg_sleep(0.002) AS r${name.replaceAll('.', '_')}`),
};

// As job queues do: so many at a time, and whoever ends starts the next.
const jobs = [];
let running = 0;
function startJobs() {
  while (running < 8 && jobs.length > 0) {
    running++;
    jobs.shift()().finally(() => { running--; startJobs(); });
  }
}

// Runs the steps; `made` calls were made before.
async function run(id, steps, made) {
  for (let i = 0; i < steps.length;) {
    if (steps[i] === 'timer') {
      await sleep(5);
      i++;
    } else if (steps[i] === 'queue') {
      return new Promise((resolve, reject) => {
        jobs.push(() => run(id, steps.slice(i + 1), made).then(resolve, reject));
        startJobs();
      });
    } else if (steps[i].endsWith(':parallel')) {
      const waiting = [];
      for (; i < steps.length && steps[i].endsWith(':parallel'); i++) waiting.push(kinds[steps[i].split(':')[0]](`${id}.${made++}`));
      await Promise.all(waiting);
    } else {
      await kinds[steps[i++]](`${id}.${made++}`);
    }
  }
}

async function work(id, plan) {
  try {
    await run(id, plan.split(','), 0);
    return 200;
  } catch (error) {
    console.error(id, plan, error);
    return 500;
  }
}

const backlog = {port: 0, host: '127.0.0.1', backlog: 1024};
function announce(address) {
  console.log('listening', address.port);
}

if (mode === 'http') {
  const server = http.createServer(async (request, response) => {
    const query = new URL(request.url, 'http://x').searchParams;
    response.statusCode = await work(query.get('id'), query.get('plan'));
    response.end('ok');
  });
  server.listen(backlog, () => announce(server.address()));
} else if (mode === 'express') {
  const app = require('express')();
  app.get('/work', async (request, response) => {
    response.status(await work(request.query.id, request.query.plan)).send('ok');
  });
  const server = http.createServer(app);
  server.listen(backlog, () => announce(server.address()));
} else {
  const app = require('fastify')();
  app.get('/work', async (request, reply) => reply.code(await work(request.query.id, request.query.plan)).send('ok'));
  app.listen(backlog).then(() => announce(app.server.address()));
}
