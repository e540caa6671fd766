// Node's ws against the server: messages, subprotocols, pings, close codes, limits.
'use strict';

// Where Debian puts modules; elsewhere, NODE_PATH says.
module.paths.push('/usr/share/nodejs');
const assert = require('assert');
const { once } = require('events');
const WebSocket = require('ws');

const url = (path) => `ws://${process.argv[2]}${path}`;

async function open(path, protocols, options) {
  const socket = new WebSocket(url(path), protocols, options);
  await once(socket, 'open');
  return socket;
}

async function messages() {
  const socket = await open('/echo');
  for (const text of ['', 'hello', 'κόσμε 🦀', 'x'.repeat(70000)]) {
    socket.send(text);
    const [data, isBinary] = await once(socket, 'message');
    assert.deepStrictEqual([data.toString(), isBinary], [text, false]);
  }
  for (const size of [0, 125, 126, 65535, 65536, 4000000]) {
    socket.send(Buffer.alloc(size, 7));
    const [data, isBinary] = await once(socket, 'message');
    assert.deepStrictEqual([data.length, isBinary], [size, true]);
  }
  socket.send('one ', { fin: false });
  socket.send('two', { fin: true });
  assert.strictEqual((await once(socket, 'message'))[0].toString(), 'one two');
  socket.ping('are you there');
  assert.strictEqual((await once(socket, 'pong'))[0].toString(), 'are you there');
  socket.close(1000, 'done');
  const [code, reason] = await once(socket, 'close');
  assert.deepStrictEqual([code, reason.toString()], [1000, 'done']);
}

async function manyAtOnce() {
  const socket = await open('/echo');
  const count = 2000;
  let received = 0;
  const all = new Promise((resolve) => {
    socket.on('message', (data) => {
      assert.strictEqual(data.toString(), `message ${received}`);
      received += 1;
      if (received === count) resolve();
    });
  });
  for (let number = 0; number < count; number += 1) socket.send(`message ${number}`);
  await all;
  socket.terminate();
}

async function handshake() {
  const socket = await open('/echo', ['v1', 'v2'], { perMessageDeflate: true });
  assert.deepStrictEqual([socket.protocol, socket.extensions], ['v2', '']);
  socket.terminate();
  const refused = new WebSocket(url('/echo'), { origin: 'https://evil.example' });
  const [error] = await once(refused, 'error');
  assert.match(error.message, /403/);
}

async function closeCodes() {
  let socket = await open('/echo');
  socket.send('close 4321');
  let [code, reason] = await once(socket, 'close');
  assert.deepStrictEqual([code, reason.toString()], [4321, 'as you wish']);
  socket = await open('/small');
  socket.send('x'.repeat(1001));
  [code] = await once(socket, 'close');
  assert.strictEqual(code, 1009);
}

(async () => {
  for (const part of [messages, manyAtOnce, handshake, closeCodes]) await part();
  console.log('all went well');
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
