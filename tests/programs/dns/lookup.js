// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Looks names up by c-ares (dns.resolve), many at once, and by the C library's resolver (dns.lookup).
// "serve": an HTTP server whose handlers look up the name that their query has.
'use strict';
const dns = require('dns').promises;
const http = require('http');

const [how, ...names] = process.argv.slice(2);
if (how === 'serve') {
  const server = http.createServer(async (request, response) => {
    const id = new URL(request.url, 'http://localhost').searchParams.get('id');
    await dns.resolve4(`first-${id}.zerospan.test`).catch(() => {});
    await dns.resolve4(`second-${id}.zerospan.test`).catch(() => {});
    response.end(id);
  });
  server.listen(0, '127.0.0.1', () => console.log('port', server.address().port));
} else {
  const look = how === 'resolve' ? (name) => dns.resolve4(name) : (name) => dns.lookup(name);
  Promise.all(names.map((name) => look(name).then(() => 'found', (error) => error.code)
    .then((what) => console.log(name, what))));
}
