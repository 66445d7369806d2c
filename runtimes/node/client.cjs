// A client of the Lambda Runtime API on one keep-alive connection. It writes HTTP by hand: node:http takes twice as long, and
// this way the answer of one event and the request for the next go out together.
'use strict';

const fs = require('fs');
const net = require('net');
const { performance } = require('perf_hooks');
const { setImmediate } = require('timers'); // the function may replace the global one

const PREFIX = '/2018-06-01/runtime/';
const MAX_HEAD = 1 << 20;
const CHANNEL = 3;
const TOO_LARGE = 413;
const READ = 1 << 16; // bytes that are received at once
const ERROR_TYPE = 'Lambda-Runtime-Function-Error-Type';

const now = performance.now.bind(performance); // the function may stop the clock, for a test of its own

function refused(status) {
  return new Error('Failed to post invocation response' + (status ? `: HTTP status ${status}` : ''));
}

/** What may stand in a header. */
function headerSafe(text) {
  return String(text).replace(/[^\x20-\x7e]/g, '');
}

/** Whether there is a connection since the process started. Else its descriptor may be the interpreter's own. */
function hasChannel() {
  try {
    return Boolean(process.env._ENFOLD_CHANNEL) && fs.fstatSync(CHANNEL).isSocket();
  } catch {
    return false;
  }
}

class Client {
  /** @param {string} endpoint host:port */
  constructor(endpoint) {
    const at = endpoint.lastIndexOf(':');
    this.host = endpoint;
    this.address = { host: endpoint.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(endpoint.slice(at + 1)), noDelay: true };
    this.socket = undefined;
    this.waiting = []; // resolve and reject of each answer that is due, in order
    this.ended = undefined; // why there is no other event
    this.unheard = undefined; // {id, text} of the last answer, until the platform has said something about it
    this.mayPoll = 0; // milliseconds in which the platform allows to look for the next event again and again
    this.polls = false; // an event would probably come in that time
    this.deadline = 0; // until when
    this.looking = false; // there is a next look
    this.look = this.look.bind(this);
    this.unsent = ''; // what goes out on the socket with what follows in the same turn of the event loop
  }

  /**
   * Waits for an event: {headers, body}, header names in lower case. An event is run once: a process whose answer the platform does not
   * take gets no other.
   */
  async next() {
    let lost;
    for (let attempt = 0; ; attempt++) {
      if (this.socket?.destroyed) this.fail(this.socket, new Error('the connection was ended'));
      const { unheard } = this;
      if (!this.socket && unheard) {
        // The function has ended the connection, or the platform has: once more on a new one, with the answer that may have been lost
        // with it. One that the platform has already is refused, and does no harm.
        lost = unheard.id;
        this.say(unheard, (status) => {
          if (status < 300) lost = undefined;
        });
      }
      try {
        const response = await this.event();
        if (lost !== undefined && response.headers['lambda-runtime-aws-request-id'] === lost) throw refused();
        return response;
      } catch (e) {
        if (!e.disconnected || attempt === 2) throw e;
      }
    }
  }

  async event() {
    this.send(`GET ${PREFIX}invocation/next HTTP/1.1\r\nHost: ${this.host}\r\n\r\n`);
    this.flush();
    const received = this.receive();
    if (this.mayPoll) this.poll();
    const response = await received;
    if (this.mayPoll) this.polls = now() < this.deadline;
    this.deadline = 0;
    if (this.ended) throw this.ended; // the event came with the refusal
    if (response.status !== 200 || !response.headers['lambda-runtime-aws-request-id']) {
      throw new Error(`the Runtime API answered ${response.status}`);
    }
    this.mayPoll = Number(response.headers['enfold-poll-micros'] || 0) / 1000;
    return response;
  }

  /** Looks for the event in each turn of an event loop that does not sleep, if it may come soon. A core that sleeps answers later. */
  poll() {
    this.deadline = now() + this.mayPoll;
    if (this.polls && !this.looking) this.look();
  }

  look() {
    this.looking = this.waiting.length > 0 && now() < this.deadline;
    if (this.looking) setImmediate(this.look);
  }

  /** Posts the answer of an event. What is sent next may follow at once: nothing waits for the platform's word. */
  answer(id, body) {
    this.post(`invocation/${encodeURIComponent(id)}/response`, body, {}, id);
  }

  error(id, body, type) {
    this.post(`invocation/${encodeURIComponent(id)}/error`, body, { [ERROR_TYPE]: headerSafe(type) }, id);
  }

  initError(body, type) {
    this.post('init/error', body, { [ERROR_TYPE]: headerSafe(type) });
  }

  post(path, body, headers, id) {
    const length = Buffer.byteLength(body, 'utf8');
    let head = `POST ${PREFIX}${path} HTTP/1.1\r\nHost: ${this.host}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n`;
    for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
    this.unheard = { id, text: head + '\r\n' + body };
    this.say(this.unheard, (status) => {
      // One that is too large is the platform's to report.
      if (id === undefined || status < 400 || status === TOO_LARGE) return;
      this.ended = refused(status);
      this.fail(this.socket, this.ended, true);
    });
  }

  say(message, heard) {
    this.send(message.text);
    this.posted = this.receive().then(
      ({ status }) => {
        if (this.unheard === message) this.unheard = undefined;
        heard(status);
      },
      (e) => {
        if (!e.disconnected) throw e;
      },
    );
  }

  /** Opens a streamed answer. Returns {write(buffer, callback), end(trailers, callback), done: Promise}. */
  stream(id, contentType) {
    this.send(
      `POST ${PREFIX}invocation/${encodeURIComponent(id)}/response HTTP/1.1\r\nHost: ${this.host}\r\n` +
        `Content-Type: ${headerSafe(contentType)}\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n` +
        'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    this.flush();
    const socket = this.socket;
    const done = this.receive();
    done.catch(() => {});
    return {
      done,
      write: (chunk, callback) => {
        if (chunk.length === 0) return void process.nextTick(callback);
        socket.cork();
        socket.write(chunk.length.toString(16) + '\r\n');
        socket.write(chunk);
        socket.write('\r\n', callback);
        socket.uncork();
      },
      end: (trailers, callback) => {
        let tail = '0\r\n';
        for (const [name, value] of Object.entries(trailers)) tail += `${name}: ${headerSafe(value)}\r\n`;
        socket.write(tail + '\r\n', callback);
      },
    };
  }

  // ---- the connection

  /** Queues text for the socket. It is one write with what follows: the kernel would wake the platform for each. */
  send(text) {
    if (!this.socket || this.socket.destroyed) this.connect();
    if (this.unsent === '') process.nextTick(() => this.flush());
    this.unsent += text;
  }

  flush() {
    const text = this.unsent;
    this.unsent = '';
    if (text !== '') this.socket?.write(text, 'utf8');
  }

  /** Takes the connection that was there when the process started. False if there is none: then it connects when it needs to. */
  adopt() {
    if (!hasChannel()) return false;
    this.use(new net.Socket({ fd: CHANNEL, readable: true, writable: true, onread: this.received() }));
    this.socket.unref(); // nothing is due on it yet
    return true;
  }

  connect() {
    this.use(net.connect({ ...this.address, onread: this.received() }));
  }

  /** What a socket does with what it receives. A buffer of its own, and no stream, is an eighth of a short invocation's time. */
  received() {
    const parser = new Parser((response) => this.deliver(response));
    const callback = (n, buffer) => {
      parser.push(buffer.subarray(0, n));
      return true; // go on
    };
    return { buffer: Buffer.allocUnsafeSlow(READ), callback };
  }

  use(socket) {
    socket.on('error', (e) => this.fail(socket, e));
    socket.on('close', () => this.fail(socket, new Error('the Runtime API closed the connection')));
    this.socket = socket;
  }

  receive() {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.socket.ref();
    });
  }

  deliver(response) {
    const first = this.waiting.shift();
    // While nothing is due the connection must not keep the event loop alive: a function is over when its loop is empty.
    if (this.waiting.length === 0) this.socket.unref();
    if (first) first.resolve(response);
  }

  fail(socket, error, final) {
    if (socket !== this.socket) return;
    this.socket = undefined;
    this.unsent = '';
    socket?.destroy();
    error.disconnected = !final;
    for (const w of this.waiting.splice(0)) w.reject(error);
  }
}

/** Parses HTTP/1.1 responses as they come. */
class Parser {
  constructor(deliver) {
    this.deliver = deliver;
    this.parts = [];
    this.size = 0;
    this.need = 0; // bytes without which there is no use in looking
  }

  /** Takes data, whose memory is the caller's again afterwards. */
  push(data) {
    this.size += data.length;
    if (this.size < this.need) {
      this.parts.push(Buffer.from(data));
      return;
    }
    let rest = this.parts.length === 0 ? data : Buffer.concat([...this.parts, data], this.size);
    const own = rest !== data;
    this.need = 0;
    while (rest.length > 0) {
      const used = this.parse(rest);
      if (used === 0) break;
      rest = rest.subarray(used);
    }
    this.parts = rest.length === 0 ? [] : [own ? rest : Buffer.from(rest)];
    this.size = rest.length;
  }

  /** Delivers one response from the start of data. Returns how many bytes it took, or 0 if it is not complete. */
  parse(data) {
    const end = data.indexOf('\r\n\r\n');
    if (end < 0) {
      if (data.length > MAX_HEAD) throw new Error('the Runtime API sent headers without end');
      return 0;
    }
    // Headers may carry any UTF-8: the client context is the caller's.
    const lines = data.toString('utf8', 0, end).split('\r\n');
    const headers = {};
    for (const line of lines.slice(1)) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const status = Number(lines[0].split(' ', 2)[1]);
    if ((headers['transfer-encoding'] || '').toLowerCase() === 'chunked') return this.chunked(data, end + 4, { status, headers });
    const length = Number(headers['content-length'] || 0);
    if (data.length < end + 4 + length) {
      this.need = end + 4 + length;
      return 0;
    }
    this.deliver({ status, headers, body: data.toString('utf8', end + 4, end + 4 + length) });
    return end + 4 + length;
  }

  chunked(data, at, response) {
    const parts = [];
    for (;;) {
      const line = data.indexOf('\r\n', at);
      if (line < 0) return 0;
      const size = parseInt(data.toString('latin1', at, line), 16);
      at = line + 2;
      if (size === 0) {
        const last = data.indexOf('\r\n', at);
        if (last < 0) return 0;
        this.deliver({ ...response, body: Buffer.concat(parts).toString('utf8') });
        return last + 2;
      }
      if (data.length < at + size + 2) return 0;
      parts.push(data.subarray(at, at + size));
      at += size + 2;
    }
  }
}

module.exports = { Client, hasChannel };
