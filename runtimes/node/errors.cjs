// The runtime's own errors, and how errors are written down.
'use strict';

const util = require('util');

function named(name, adopt) {
  return class extends Error {
    constructor(reason) {
      super(reason);
      this.name = `Runtime.${name}`;
      if (adopt && reason && reason.stack) this.stack = reason.stack;
    }
  };
}

class UnhandledPromiseRejection extends Error {
  constructor(reason, promise) {
    super(reason);
    this.reason = reason;
    this.promise = promise;
  }
}
UnhandledPromiseRejection.prototype.name = 'Runtime.UnhandledPromiseRejection';

const NODE_EXIT =
  'The Lambda runtime client detected an unexpected Node.js exit. This is most commonly caused by a Promise that was never ' +
  'settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes';

class NodeJsExit extends Error {
  constructor() {
    super(NODE_EXIT);
  }
}
NodeJsExit.prototype.name = 'Runtime.NodeJsExit';

function isError(e) {
  return Boolean(e && typeof e.name === 'string' && e.name && typeof e.message === 'string' && e.message && typeof e.stack === 'string' && e.stack);
}

/** The error document: what the caller of the function gets. */
function toDocument(error) {
  try {
    if (util.types.isNativeError(error) || isError(error)) {
      return { errorType: error.name, errorMessage: error.message, trace: error.stack.split('\n') };
    }
    return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage:
        'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack',
    };
  }
}

/** For the log line of a failure: the same and whatever properties the function gave the error. */
function toLogged(error) {
  const all = (_key, v) => {
    if (!(v instanceof Error)) return v;
    const out = { errorType: v.name, errorMessage: v.message, code: v.code, ...v };
    if (typeof v.stack === 'string') out.stack = v.stack.split('\n');
    return out;
  };
  try {
    return '\t' + JSON.stringify(error, all);
  } catch {
    return '\t' + JSON.stringify(toDocument(error));
  }
}

function intoError(e) {
  return e instanceof Error ? e : new Error(e);
}

module.exports = {
  ImportModuleError: named('ImportModuleError'),
  HandlerNotFound: named('HandlerNotFound'),
  MalformedHandlerName: named('MalformedHandlerName'),
  MalformedStreamingHandler: named('MalformedStreamingHandler'),
  UserCodeSyntaxError: named('UserCodeSyntaxError', true),
  InvalidStreamingOperation: named('InvalidStreamingOperation'),
  CallbackHandlerDeprecated: named('CallbackHandlerDeprecated'),
  UnhandledPromiseRejection,
  NodeJsExit,
  toDocument,
  toLogged,
  intoError,
};
