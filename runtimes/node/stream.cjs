// Streamed answers: what awslambda.streamifyResponse hands to a function.
'use strict';

const { InvalidStreamingOperation, toDocument } = require('./errors.cjs');

let Writable; // loaded with the first streaming function

const HTTP_TYPE = 'application/vnd.awslambda.http-integration-response';

/** awslambda.HttpResponseStream: status, headers and cookies go before the body, as JSON and eight zero bytes. */
class HttpResponseStream {
  static from(stream, prelude) {
    stream.setContentType(HTTP_TYPE);
    const json = JSON.stringify(prelude);
    stream._onBeforeFirstWrite = (write) => {
      write(json);
      write(new Uint8Array(8));
    };
    return stream;
  }
}

/**
 * Makes the response stream of one event.
 * @return {{stream, done: Promise, fail(error): void}} done ends when the platform has the whole answer.
 */
function responseStream(client, id, highWaterMark) {
  Writable ??= require('stream').Writable;
  let contentType = 'application/octet-stream';
  let trailers = {};
  let wire;
  let settle;
  const done = new Promise((resolve, reject) => (settle = { resolve, reject }));
  done.catch(() => {});
  const open = () => {
    if (wire) return wire;
    wire = client.stream(id, contentType);
    wire.done.then(settle.resolve, settle.reject);
    return wire;
  };
  const stream = new Writable({
    highWaterMark: highWaterMark ?? 16384,
    decodeStrings: true,
    write: (chunk, _encoding, callback) => open().write(chunk, callback),
    final: (callback) => open().end(trailers, callback),
  });
  const write = stream.write.bind(stream);
  stream.write = (chunk, encoding, callback) => {
    if (typeof chunk !== 'string' && !Buffer.isBuffer(chunk) && chunk?.constructor !== Uint8Array) chunk = JSON.stringify(chunk);
    if (!wire && typeof stream._onBeforeFirstWrite === 'function') {
      const before = stream._onBeforeFirstWrite;
      stream._onBeforeFirstWrite = undefined;
      before((c) => write(c));
    }
    return write(chunk, encoding, callback);
  };
  const end = stream.end.bind(stream);
  stream.end = (chunk, encoding, callback) => {
    if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') stream.write(chunk, typeof encoding === 'string' ? encoding : undefined);
    else if (!wire && typeof stream._onBeforeFirstWrite === 'function') stream.write('');
    return end([chunk, encoding, callback].find((f) => typeof f === 'function'));
  };
  stream.setContentType = (type) => {
    if (wire) throw new InvalidStreamingOperation('Cannot set content-type, too late.');
    contentType = type;
  };
  // A function that fails after its first bytes can only say so in the trailers.
  const fail = (error) => {
    const doc = toDocument(error);
    trailers = {
      'Lambda-Runtime-Function-Error-Type': doc.errorType,
      'Lambda-Runtime-Function-Error-Body': Buffer.from(JSON.stringify(doc)).toString('base64'),
    };
    if (stream.writableEnded) return settle.resolve();
    if (stream.destroyed) return open().end(trailers);
    end();
  };
  return { stream, done, fail };
}

module.exports = { HttpResponseStream, responseStream };
