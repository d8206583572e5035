// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The gRPC test program (../README.md) on @grpc/grpc-js.
'use strict';

const path = require('path');
const readline = require('readline');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const KINDS = ['unary', 'large', 'gzip', 'server_stream', 'client_stream', 'both', 'not_found', 'broken',
  'unimplemented', 'deadline', 'cancel'];
const STREAMED = 3;
const small = Buffer.alloc(100, 'm');

const proto = grpc.loadPackageDefinition(loader.loadSync(path.join(__dirname, 'calls.proto'))).zerospan.test;

function log(call, method, received, sent, code = 0) {
  console.log(JSON.stringify({
    id: String(call.metadata.get('x-id')[0] || ''), method, status: grpc.status[code], received, sent}));
}

const service = {
  unary(call, callback) {
    const code = call.request.status;
    log(call, 'Unary', 1, code ? 0 : 1, code);
    callback(code ? {code, details: 'as asked for'} : null, {payload: call.request.payload});
  },
  serverStream(call) {
    const {answers, status, wait, payload} = call.request;
    for (let i = 0; i < answers; i++) call.write({payload});
    if (wait) {
      call.on('cancelled', () => log(call, 'ServerStream', 1, answers, grpc.status.CANCELLED));
      return;
    }
    log(call, 'ServerStream', 1, answers, status);
    if (status) {
      call.emit('error', {code: status, details: 'as asked for'});
    } else {
      call.end();
    }
  },
  clientStream(call, callback) {
    let received = 0, payload;
    call.on('data', (item) => { received++; payload = item.payload; });
    call.on('end', () => {
      log(call, 'ClientStream', received, 1);
      callback(null, {payload});
    });
  },
  both(call) {
    let count = 0, over = false;
    const end = (code) => {
      if (!over) log(call, 'Both', count, count, code);
      over = true;
    };
    call.on('data', (item) => { call.write({payload: item.payload}); count++; });
    call.on('cancelled', () => end(grpc.status.CANCELLED));
    call.on('error', () => end(grpc.status.CANCELLED));
    call.on('end', () => {
      if (!call.cancelled) {
        end(0);
        call.end();
      }
    });
  },
};

function serve(age) {
  const server = new grpc.Server(age ? {'grpc.max_connection_age_ms': Number(age)} : {});
  server.addService(proto.Calls.service, service);
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    console.log('listening', port);
  });
}

// Makes one call; resolves to how it went.
function makeCall(clients, number) {
  const kind = KINDS[number % KINDS.length];
  const line = {id: String(number).padStart(6, '0'), kind, method: 'Unary', status: '', sent: 1, received: 0};
  const metadata = new grpc.Metadata();
  metadata.set('x-id', line.id);
  const client = kind === 'gzip' ? clients.gzip : clients.plain;
  return new Promise((resolve) => {
    const end = (code) => {
      line.status = grpc.status[code || 0];
      resolve(line);
    };
    const answer = (error) => {
      line.received = error ? 0 : 1;
      end(error && error.code);
    };
    const unary = (item) => client.unary(item, metadata, answer);
    // A call that streams answers ends with 'status', after 'error' if it is one.
    const watch = (call) => {
      call.on('data', () => { line.received++; });
      call.on('error', () => {});
      call.on('status', (status) => end(status.code));
      return call;
    };
    const read = (item, options) => {
      line.method = 'ServerStream';
      watch(client.serverStream(item, metadata, options || {}));
    };
    switch (kind) {
      case 'unary': return unary({payload: small});
      case 'large': return unary({payload: Buffer.alloc(50000, 'm')});
      case 'gzip': return unary({payload: Buffer.alloc(5000, 'm')});
      case 'not_found': return unary({status: 5});
      case 'unimplemented':
        line.method = 'Missing';
        return client.missing({payload: small}, metadata, answer);
      case 'server_stream': return read({payload: small, answers: STREAMED});
      case 'broken': return read({payload: small, answers: 2, status: 13});
      case 'deadline':
        return read({payload: small, answers: 1, wait: true}, {deadline: Date.now() + 2000});
      case 'client_stream': {
        line.method = 'ClientStream';
        const call = client.clientStream(metadata, answer);
        for (line.sent = 0; line.sent < STREAMED; line.sent++) call.write({payload: small});
        return call.end();
      }
      default: {
        line.method = 'Both';
        const call = watch(client.both(metadata));
        call.on('data', () => {
          if (kind === 'cancel') {
            call.cancel();
          } else if (line.sent < STREAMED) {
            line.sent++;
            call.write({payload: small});
          } else {
            call.end();
          }
        });
        return call.write({payload: small});
      }
    }
  });
}

async function callAll(port, count, wide) {
  const make = (options) =>
    new proto.Calls(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
  const clients = {
    plain: make({}),
    gzip: make({'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip}),
  };
  console.log('ready');
  await new Promise((resolve) => readline.createInterface({input: process.stdin}).once('line', resolve));
  let next = 0;
  await Promise.all(Array.from({length: wide}, async () => {
    while (next < count) console.log(JSON.stringify(await makeCall(clients, next++)));
  }));
  console.log(JSON.stringify(await makeCall(clients, count)));
  console.log('done');
  process.exit(0);
}

const [mode, first, count, wide] = process.argv.slice(2);
if (mode === 'serve') {
  serve(first);
} else {
  callAll(first, Number(count), Number(wide));
}
