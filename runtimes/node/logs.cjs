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

// How lines are written. The environment decides, and it may come long after console's methods are replaced.
let write = toStdout;
let format = textLine;
let json = false;
let least = LEVELS.TRACE;

function at(level) {
  return (message, ...params) => {
    if (LEVELS[level] >= least) write(format(new Date().toISOString(), level, [message, ...params]), level);
  };
}

/**
 * Has standard output and error take what is written at once, and who writes wait where they must, as on AWS. A pipe that is full would keep
 * the rest in the process otherwise, to be written when the answer is long out, in the next invocation, or never.
 */
function writeAtOnce() {
  for (const name of ['stdout', 'stderr']) {
    const lazy = Object.getOwnPropertyDescriptor(process, name);
    if (!lazy?.get || !lazy.configurable) continue;
    const get = () => {
      const stream = lazy.get.call(process);
      stream._handle?.setBlocking?.(true);
      Object.defineProperty(process, name, lazy);
      return stream;
    };
    Object.defineProperty(process, name, { ...lazy, get });
  }
}

/** Replaces console's methods. */
function patchConsole() {
  writeAtOnce();
  console.trace = at('TRACE');
  console.debug = at('DEBUG');
  console.info = at('INFO');
  console.log = console.info;
  console.warn = at('WARN');
  console.error = at('ERROR');
  console.fatal = at('FATAL');
}

/** Does what the environment says about logs. */
function configureLogs() {
  const env = process.env;
  json = env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
  format = json ? jsonLine : textLine;
  least = LEVELS[env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()] ?? LEVELS.TRACE;
  const fd = Number(env._LAMBDA_TELEMETRY_LOG_FD || NaN);
  if (!Number.isInteger(fd)) return;
  delete env._LAMBDA_TELEMETRY_LOG_FD;
  write = toFd(fd, json);
}

const ownError = at('ERROR');

/** The runtime's own line about an error. */
function logError(what, error) {
  if (json) ownError(intoError(error));
  else ownError(what, toLogged(intoError(error)));
}

function setInvocation(id, tenant) {
  globalThis[REQUEST_ID] = id;
  tenantId = tenant;
}

/** There has been no invocation. */
function forgetInvocation() {
  delete globalThis[REQUEST_ID];
  tenantId = undefined;
}

/** Formats lines that nobody will see, and opens standard output. */
function rehearseLogs() {
  for (const format of [textLine, jsonLine]) {
    for (const params of [['hello %s', 'x'], [{ a: [1] }], [new Error('x')]]) format(new Date().toISOString(), 'INFO', params);
  }
  process.stdout.write('');
}

module.exports = { configureLogs, forgetInvocation, logError, patchConsole, rehearseLogs, setInvocation };
