// Booting before it is known for which function: wait for its configuration, then be as if started with it.
//
// The configuration is the process's environment, NAME=value entries with a zero byte after each, on standard input until its
// end. What does not depend on it is done before it comes: an invocation is waiting from then on. JavaScript is compiled when it
// first runs, so all that a function's start will run is run before.
'use strict';

const fs = require('fs');
const Module = require('module');
const net = require('net');
const { Client, hasChannel } = require('./client.cjs');
const { load } = require('./handler.cjs');
const { rehearseLogs } = require('./logs.cjs');
const { fullFolders } = require('./resolve.cjs');
require('./stream.cjs');

const EVENTS = 20; // how many are rehearsed
const TURNS = 5; // of the event loop, for what was closed to be gone
const RESPONSE =
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: 0\r\nLambda-Runtime-Deadline-Ms: 1\r\n' +
  'Enfold-Poll-Micros: 500\r\n' +
  'Content-Length: 9\r\n\r\n{"a":[1]}';
const ACCEPTED = 'HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n';

/**
 * Waits, then calls start with a client that is connected already, or undefined.
 * rehearse(client, handler, n) runs n events and undoes what that did.
 */
async function wait(rehearse, start) {
  const client = await fakeClient();
  if (client) {
    await load(__dirname, 'rehearsal-module.handler');
    const handler = await load(__dirname, 'rehearsal.handler');
    await rehearse(client, handler, EVENTS);
    client.socket.destroy();
  }
  forget('rehearsal.cjs');
  forget('rehearsal-module.mjs');
  rehearseLogs();
  fullFolders();
  fs.closeSync(takeInput(fs.openSync('/dev/null', 'r')).empty);
  const own = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
  let env = replaceEnvironment({ ...process.env }, [...own, '_ENFOLD_1=1', '_ENFOLD_2=2'].join('\0'));
  env = replaceEnvironment(env, own.join('\0'));
  const connected = await connectAhead(process.env.AWS_LAMBDA_RUNTIME_API);
  // What ended with the rehearsal has callbacks to come, which would come between the function and its first event.
  for (let turn = 0; turn < TURNS; turn++) await new Promise(setImmediate);
  globalThis.gc?.(); // so that no collection is due while the function loads
  // In a turn of the event loop of its own, with nothing pending. The parentheses make it compiled with the rest.
  setImmediate((() => {
    fs.writeSync(1, '\0'); // booted
    const { config } = takeInput(0);
    if (config.length === 0) process.reallyExit(0); // nobody is left to send a configuration
    replaceEnvironment(env, config.toString('utf8'));
    start(connected);
  }));
}

/** Reads a descriptor to its end and closes it. Empty is /dev/null, at the lowest descriptor that is free then: 0 after 0. */
function takeInput(fd) {
  const parts = [];
  const part = Buffer.allocUnsafe(1 << 16);
  for (let n = fs.readSync(fd, part); n > 0; n = fs.readSync(fd, part)) parts.push(Buffer.from(part.subarray(0, n)));
  fs.closeSync(fd);
  return { config: Buffer.concat(parts), empty: fs.openSync('/dev/null', 'r') };
}

/**
 * A client of a Runtime API that has the same event for everybody who asks. Its connection is of the kind that the client will have: code
 * that was compiled for another kind would be compiled again. Undefined if that cannot be listened for.
 */
function fakeClient() {
  return new Promise((resolve) => {
    const server = net.createServer((api) => {
      server.close();
      api.on('error', () => {});
      api.on('data', (data) => {
        const text = data.toString('latin1');
        api.write((text.startsWith('POST') ? ACCEPTED : '') + (text.includes('GET /') ? RESPONSE : ''));
      });
    });
    server.once('error', () => resolve(undefined));
    const listen = hasChannel() ? { path: `/tmp/enfold-${process.pid}.sock` } : { host: '127.0.0.1', port: 0 };
    server.listen(listen, () => {
      const client = new Client('127.0.0.1:1');
      const at = listen.path ? listen : server.address();
      client.use(net.connect({ ...at, onread: client.received() }));
      client.socket.once('connect', () => resolve(client));
    });
  });
}

/** Removes a module of ours from where a function would see it. */
function forget(name) {
  const file = require.resolve('./' + name);
  const { children } = require.cache[require.resolve('./handler.cjs')];
  const at = children.indexOf(require.cache[file]);
  if (at >= 0) children.splice(at, 1);
  delete require.cache[file];
}

/** A connected client. Undefined if that is not possible yet: the client then connects when it needs to. */
async function connectAhead(endpoint) {
  if (!endpoint) return undefined;
  const client = new Client(endpoint);
  if (!client.adopt()) {
    client.connect();
    const connected = await new Promise((resolve) => {
      client.socket.once('connect', () => resolve(true));
      client.socket.once('close', () => resolve(false));
    });
    if (!connected) return undefined;
  }
  client.socket.unref(); // as after every answer
  return client;
}

/** Makes process.env, and the C library's environment with it, what the entries of a configuration say, and returns it. had is it now. */
function replaceEnvironment(had, config) {
  const wanted = Object.create(null);
  for (const entry of config.split('\0')) {
    const equals = entry.indexOf('=');
    if (equals > 0) wanted[entry.slice(0, equals)] = entry.slice(equals + 1);
  }
  for (const name in had) if (!(name in wanted)) delete process.env[name];
  // To set TZ is costly even if it stays the same: all that is known of dates is forgotten.
  for (const name in wanted) if (had[name] !== wanted[name]) process.env[name] = wanted[name];
  // Where modules are looked for, Node.js has read at its start.
  if (had.NODE_PATH !== wanted.NODE_PATH || had.HOME !== wanted.HOME) Module._initPaths();
  return wanted;
}

module.exports = { wait };
