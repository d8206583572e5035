// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The same as client.py with the clients for Node.js.
'use strict';

const fs = require('fs');
const path = require('path');

const [product, port] = process.argv.slice(2);
const { Client } = require(product === 'elasticsearch' ? '@elastic/elasticsearch' : '@opensearch-project/opensearch');
const client = new Client({ node: `http://127.0.0.1:${port}`, maxRetries: 0, requestTimeout: 60000 });

let current = {};
client.on('response', (error, result) => {
  const { method, path: target } = result.meta.request.params;
  // The client looks once by itself which product it talks to.
  const made = target.split('?')[0] !== '/' || method === 'HEAD' ? current : { call: 'info', path: {} };
  console.log(JSON.stringify({ ...made, method, status: result.statusCode || (error && error.statusCode) || 0 }));
});

function camel(name) {
  return name.replace(/_(.)/g, (all, letter) => letter.toUpperCase());
}

function filled(value, last) {
  if (typeof value === 'string') return value.startsWith('$') ? last[value.slice(1)] : value;
  if (Array.isArray(value)) return value.map((inner) => filled(inner, last));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, filled(inner, last)]));
}

async function main() {
  let last = {};
  for (const call of JSON.parse(fs.readFileSync(path.join(__dirname, 'calls.json'), 'utf8'))) {
    if ((call.only || product) !== product) continue;
    current = { call: call.call, path: call.path || {} };
    const names = call.call.split('.').map(camel);
    const owner = names.slice(0, -1).reduce((object, name) => object[name], client);
    try {
      const { body } = await owner[names[names.length - 1]]({ ...current.path, ...filled(call.with || {}, last) });
      if (body && body._scroll_id) last = body;
    } catch (error) {
      if (!error.statusCode) throw error;
    }
  }
  console.log('done');
  await client.close();
  process.exit(0);
}

console.log('ready');
process.stdin.once('data', main);
