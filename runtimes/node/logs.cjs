// console as functions see it: every line carries time, request id and level, or is a JSON object.
'use strict';

const fs = require('fs');
const util = require('util');
const { intoError, toLogged } = require('./errors.cjs');

const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
const REQUEST_ID = Symbol.for('aws.lambda.runtime.requestId');
let tenantId;

function describe(e) {
  return {
    errorType: e?.constructor?.name ?? 'UnknownError',
    errorMessage: e.message,
    stackTrace: typeof e.stack === 'string' ? e.stack.split('\n') : e.stack,
  };
}

function jsonLine(time, level, params) {
  const record = { timestamp: time, level, requestId: globalThis[REQUEST_ID] };
  if (tenantId !== undefined && tenantId !== '') record.tenantId = tenantId;
  if (params.length === 1) {
    record.message = params[0];
    try {
      return JSON.stringify(record, (_key, v) => (v instanceof Error ? { ...describe(v), ...v } : v));
    } catch {
      record.message = util.format(params[0]);
      return JSON.stringify(record);
    }
  }
  record.message = util.format(...params);
  const error = params.find((p) => p instanceof Error);
  if (error) Object.assign(record, describe(error));
  return JSON.stringify(record);
}

function textLine(time, level, params) {
  return `${time}\t${globalThis[REQUEST_ID]}\t${level}\t${util.format(...params)}`;
}

/** Writes one event to standard output. Its newlines become carriage returns, which the platform turns back. */
function toStdout(line) {
  process.stdout.write(line.replace(/\r?\n/g, '\r') + '\n');
}

/** Writes one event to the platform's log descriptor: type, length, time, message. */
function toFd(fd, json) {
  return (line, level) => {
    const body = Buffer.from(json ? line : line + '\n', 'utf8');
    const head = Buffer.alloc(16);
    head.writeUInt32BE(((json ? 0xa55a0002 : 0xa55a0003) | (LEVELS[level] << 2)) >>> 0, 0);
    head.writeUInt32BE(body.length, 4);
    head.writeBigInt64BE(BigInt(Date.now()) * 1000n, 8);
    fs.writeSync(fd, Buffer.concat([head, body]));
  };
}

/** Replaces console's methods. Returns logError(what, error) for the runtime's own use. */
function patchConsole() {
  const json = process.env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
  const least = LEVELS[process.env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()] ?? LEVELS.TRACE;
  const fd = Number(process.env._LAMBDA_TELEMETRY_LOG_FD || NaN);
  delete process.env._LAMBDA_TELEMETRY_LOG_FD;
  const write = Number.isInteger(fd) ? toFd(fd, json) : toStdout;
  const format = json ? jsonLine : textLine;
  const at = (level) => {
    if (LEVELS[level] < least) return () => {};
    return (message, ...params) => write(format(new Date().toISOString(), level, [message, ...params]), level);
  };
  console.trace = at('TRACE');
  console.debug = at('DEBUG');
  console.info = at('INFO');
  console.log = console.info;
  console.warn = at('WARN');
  console.error = at('ERROR');
  console.fatal = at('FATAL');
  const error = console.error;
  return json ? (_what, e) => error(intoError(e)) : (what, e) => error(what, toLogged(intoError(e)));
}

function setInvocation(id, tenant) {
  globalThis[REQUEST_ID] = id;
  tenantId = tenant;
}

module.exports = { patchConsole, setInvocation };
