// The managed Node.js runtime: loads a handler and runs it once per event of the Lambda Runtime API.
// Conventions are those of AWS's nodejs18.x to nodejs24.x runtimes. No dependencies.
'use strict';

const { setImmediate, setTimeout } = require('timers'); // the function may replace the global ones
const { Client } = require('./client.cjs');
const { fillContext } = require('./context.cjs');
const { NodeJsExit, UnhandledPromiseRejection, toDocument } = require('./errors.cjs');
const { load, setGlobals, MAJOR } = require('./handler.cjs');
const { configureLogs, forgetInvocation, logError, patchConsole, setInvocation } = require('./logs.cjs');
const { searchNodePath } = require('./resolve.cjs');

let client;

const UNSETTLED = 13; // Node.js's own exit status for a module that waits at its top level for what never comes

const nothing = () => {};
let onEmptyLoop = nothing; // what to do when the event loop has nothing left
let current; // id of the invocation, undefined during init
let answered = false; // it has been answered
let dying = false; // an error has been reported that ends the process
let handler;

// The function is called as a method named handler of a Runtime, as on AWS: stack traces say "at Runtime.handler".
class Runtime {}
const runtime = new Runtime();

/** Does all that depends on the environment, and loads the handler. The parentheses make it compiled with the rest. */
const main = (function (connected) {
  configureLogs();
  process.on('beforeExit', () => onEmptyLoop());
  process.on('uncaughtException', (error) => {
    logError('Uncaught Exception', error);
    die(error, 129);
  });
  process.on('unhandledRejection', (reason, promise) => {
    const error = new UnhandledPromiseRejection(reason, promise);
    logError('Unhandled Promise Rejection', error);
    die(error, 128);
  });
  const endpoint = process.env.AWS_LAMBDA_RUNTIME_API;
  client = connected?.host === endpoint ? connected : new Client(endpoint);
  if (client !== connected) client.adopt();
  delete process.env._ENFOLD_CHANNEL;
  setGlobals();
  searchNodePath();
  onEmptyLoop = () => process.exit(UNSETTLED);
  load(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER).then(
    (loaded) => {
      handler = loaded;
      runtime.handler = loaded.run;
      settle();
    },
    (error) => {
      logError('Uncaught Exception', error);
      die(error, 129);
    },
  );
});

/**
 * Asks for the first event when what the code has begun while it was loaded has had its turn. A rejection counts as unhandled only once
 * no microtask is left, and a timer that is due at once fires a millisecond later: either ends the process as it ends AWS's, each time.
 */
function settle() {
  // After theirs of one millisecond, which is what Node.js makes of none. An interval of an hour costs as much: nobody tells them apart.
  if (process.getActiveResourcesInfo?.().includes('Timeout')) setTimeout(next, 0);
  else setImmediate(next);
}

/**
 * Reports an error that ends the process, the first one. On a connection of its own: the other may be waiting for an event. After the answer
 * there is nothing to report, but the answer itself must have arrived.
 */
function die(error, code) {
  if (dying) return;
  dying = true;
  if (answered) {
    client.flush();
    Promise.resolve(client.posted).then(
      () => process.exit(code),
      () => process.exit(code),
    );
    return;
  }
  const doc = toDocument(error);
  const last = new Client(client.host);
  if (current === undefined) last.initError(JSON.stringify(doc), doc.errorType);
  else last.error(current, JSON.stringify(doc), doc.errorType);
  last.posted.then(
    () => process.exit(code),
    () => process.exit(code),
  );
}

function next() {
  if (dying) return;
  onEmptyLoop = nothing;
  const start = handler.streaming ? runStreaming : run;
  client.next().then((event) => dying || start(event), (e) => {
    console.error(`Unexpected Top Level Error: ${e}`);
    process.exit(1);
  });
}

function begin({ headers }) {
  answered = false;
  current = headers['lambda-runtime-aws-request-id'];
  setInvocation(current, headers['lambda-runtime-aws-tenant-id']);
  const trace = headers['lambda-runtime-trace-id'];
  if (trace) process.env._X_AMZN_TRACE_ID = trace;
  else delete process.env._X_AMZN_TRACE_ID;
}

function succeed(id, result) {
  let text;
  try {
    text = JSON.stringify(result === undefined ? null : result) ?? 'null';
  } catch {
    throw new Error('Unable to stringify response body');
  }
  client.answer(id, text);
  proceed();
}

function fail(id, error) {
  logError('Invoke Error', error);
  const doc = toDocument(error);
  client.error(id, JSON.stringify(doc), doc.errorType);
  proceed();
}

/**
 * Asks for the next event when what the function has begun, and not waited for, has had its turn: a promise that it rejects, or an error in
 * a callback, ends this process, as on AWS, and not the next event with it.
 */
function proceed() {
  answered = true;
  setImmediate(next);
}

/** Runs a handler that answers at once. It may return a promise or, before Node.js 24, call one of the callbacks. */
function run(event) {
  begin(event);
  const id = current;
  const { callback, context, close } = callbacks(id);
  onEmptyLoop = () => {
    close();
    // The loop is empty and there is no answer. AWS fails async handlers, and answers null for those that forgot the callback.
    if (handler.isAsync || MAJOR >= 24) fail(id, new NodeJsExit());
    else succeed(id, null);
  };
  try {
    const input = JSON.parse(event.body);
    if (MAJOR >= 24) {
      const result = runtime.handler(input, fillContext({}, event.headers));
      Promise.resolve(result).then(context.succeed, context.fail).catch(context.fail);
      return;
    }
    const result = runtime.handler(input, fillContext(context, event.headers), callback);
    if (typeof result?.then === 'function') result.then(context.succeed, context.fail).catch(context.fail);
  } catch (e) {
    if (MAJOR >= 24) context.fail(e);
    else callback(e);
  }
}

/** The callback, the context's old ways to answer, and close, after which none of them does anything. Only one counts. */
function callbacks(id) {
  let closed = false;
  let waits = true;
  const once = (f) => (...args) => {
    if (closed) return;
    f(...args);
    closed = true;
  };
  const done = (error, result) => {
    onEmptyLoop = nothing;
    if (error !== undefined && error !== null) fail(id, error);
    else succeed(id, result);
  };
  const callback = (error, result) => {
    if ((error !== undefined && error !== null) || !waits) return done(error, result);
    onEmptyLoop = () => {
      onEmptyLoop = nothing;
      succeed(id, result);
    };
  };
  const context = {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
    succeed: once((result) => done(null, result)),
    fail: once((error) => done(error ?? 'handled', null)),
    done: once(done),
  };
  return { callback: once(callback), context, close: () => (closed = true) };
}

/** Runs a handler made by awslambda.streamifyResponse. */
async function runStreaming(event) {
  begin(event);
  let waits = true;
  const context = {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
  };
  const { responseStream } = require('./stream.cjs');
  const response = responseStream(client, current, handler.highWaterMark);
  onEmptyLoop = () => failStream(response, new NodeJsExit());
  try {
    const input = JSON.parse(event.body);
    const result = runtime.handler(input, response.stream, fillContext(context, event.headers));
    if (typeof result?.then !== 'function') return await failStream(response, 'Streaming does not support non-async handlers.');
    if ((await result) !== undefined) console.warn('Streaming handlers ignore return values.');
    await response.done;
    if (!response.stream.writableFinished) return await failStream(response, 'Response stream is not finished.');
  } catch (e) {
    return failStream(response, e);
  }
  if (!waits || MAJOR >= 24) return proceed();
  onEmptyLoop = proceed;
}

async function failStream(response, error) {
  onEmptyLoop = nothing;
  logError('Invoke Error', error);
  response.fail(error);
  await response.done.catch(nothing);
  proceed();
}

/** Runs the first n events that a client has, and forgets them. */
async function rehearse(withClient, withHandler, n) {
  configureLogs();
  setGlobals();
  client = withClient;
  handler = withHandler;
  runtime.handler = handler.run;
  const ask = client.next.bind(client);
  await new Promise((resolve) => {
    client.next = () => (n-- > 0 ? ask() : new Promise(resolve));
    next();
  });
  await client.posted;
  client = handler = current = undefined;
  answered = false;
  delete runtime.handler;
  delete globalThis.awslambda;
  forgetInvocation();
}

patchConsole();
if (process.env._ENFOLD_WARM) require('./warm.cjs').wait(rehearse, main);
else main();
