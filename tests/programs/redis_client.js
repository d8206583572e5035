// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// redis_client.js MODULES PORT: works with a Redis server through ioredis after a line on standard input, and prints "ready"
// before. Commands that nobody waits for in turn share one connection.

const { createRequire } = require('node:module');
const Redis = createRequire(process.argv[2] + '/')('ioredis');

async function work() {
  const client = new Redis(Number(process.argv[3]), '127.0.0.1', { enableReadyCheck: false });
  await Promise.all(Array.from({ length: 50 }, async (_, i) => {
    await client.set(`key${i}`, `secret ${i}`);
    if (await client.get(`key${i}`) !== `secret ${i}`) throw new Error('wrong answer');
  }));
  const pipeline = client.pipeline();
  for (let i = 0; i < 20; i++) pipeline.get(`key${i}`);
  pipeline.lpush('key0', 'secret');
  const answers = await pipeline.exec();
  if (!answers[20][0].message.startsWith('WRONGTYPE')) throw new Error('it worked');
  await client.multi().incr('n').lpush('key0', 'secret').get('n').exec();
  await client.quit();
}

console.log('ready');
process.stdin.once('data', () => work().then(() => {
  console.log('done');
  process.exit(0);
}, (error) => {
  console.error(error);
  process.exit(1);
}));
