// AWS's Node.js finds ES modules in NODE_PATH too, where layers and the SDK are; Node.js itself looks there only for require.
'use strict';

const fs = require('fs');
const { pathToFileURL } = require('url');

let asyncHooks = false;

/** Whether modules are looked for by another thread, which require does not ask. */
function hasAsyncHooks() {
  return asyncHooks;
}

/** Makes import look in NODE_PATH after Node's own search. Costs nothing if no directory of layers or of the SDK is there. */
function searchNodePath() {
  const folders = fullFolders();
  if (folders.length === 0) return;
  const module = require('module');
  const parents = folders.map((f) => pathToFileURL(f.replace(/\/node_modules\/?$/, '') + '/noop.mjs').href);
  if (module.registerHooks) {
    module.registerHooks({ resolve: resolveSync(parents) });
  } else if (module.register) {
    module.register(pathToFileURL(require.resolve('./resolve-hook.mjs')), { data: parents });
    asyncHooks = true;
  }
}

/** The folders of NODE_PATH that have something in them, but for the function's and the runtime's own. */
function fullFolders() {
  const own = [process.env.LAMBDA_TASK_ROOT, process.env.LAMBDA_RUNTIME_DIR];
  return (process.env.NODE_PATH ?? '').split(':').filter((f) => f && !own.includes(f) && !isEmpty(f));
}

function isEmpty(folder) {
  if (!fs.existsSync(folder)) return true; // an exception costs more
  try {
    return fs.readdirSync(folder).length === 0;
  } catch {
    return true;
  }
}

function resolveSync(parents) {
  return (specifier, context, nextResolve) => {
    try {
      return nextResolve(specifier, context);
    } catch (e) {
      if (e.code !== 'ERR_MODULE_NOT_FOUND' || /^[./]|^[a-z]+:/.test(specifier)) throw e;
      for (const parentURL of parents) {
        try {
          return nextResolve(specifier, { ...context, parentURL });
        } catch {
          continue;
        }
      }
      throw e;
    }
  };
}

module.exports = { fullFolders, hasAsyncHooks, searchNodePath };
