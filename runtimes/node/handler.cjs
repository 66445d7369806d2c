// Finds the function's handler by its name: dir/file.export.nested
'use strict';

const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');
const { isModuleNamespaceObject } = require('util').types;
const errors = require('./errors.cjs');
const { hasAsyncHooks } = require('./resolve.cjs');

const MAJOR = Number(process.versions.node.split('.')[0]);
const REQUIRES_MODULES = process.features.require_module && !process.versions.node.startsWith('22.12.'); // which warns of it
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const CALLBACK_REMOVED =
  'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to modify this ' +
  'function to use a supported handler signature to use Node.js 24 or later. For more information see ' +
  'https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.';

/** Sets globalThis.awslambda, which streaming functions use. */
function setGlobals() {
  if (['1', 'true'].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) return;
  globalThis.awslambda = {
    streamifyResponse: (handler, options) => {
      handler[STREAMING] = 'response';
      if (typeof options?.highWaterMark === 'number') handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
      return handler;
    },
    get HttpResponseStream() {
      return require('./stream.cjs').HttpResponseStream;
    },
  };
}

/**
 * Loads the handler.
 * @return {Promise<{run: Function, streaming: boolean, highWaterMark: number|undefined, isAsync: boolean}>}
 */
async function load(root, name) {
  if (name.includes('..')) {
    throw new errors.MalformedHandlerName(
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const base = path.basename(name);
  const folder = name.substring(0, name.indexOf(base));
  const parts = base.match(/^([^.]*)\.(.*)$/);
  if (!parts) throw new errors.MalformedHandlerName('Bad handler');
  const app = await loadModule(root, folder, parts[1]);
  const run = parts[2].split('.').reduce((o, key) => o && o[key], app);
  if (!run) throw new errors.HandlerNotFound(`${name} is undefined or not exported`);
  if (typeof run !== 'function') throw new errors.HandlerNotFound(`${name} is not a function`);
  return describe(run);
}

function describe(run) {
  const streaming = run[STREAMING];
  if (streaming && streaming !== 'response') throw new errors.MalformedStreamingHandler('Only response streaming is supported.');
  if (MAJOR >= 24 && !streaming && run.length >= 3) throw new errors.CallbackHandlerDeprecated(CALLBACK_REMOVED);
  const mark = parseInt(run[HIGH_WATER_MARK], 10);
  return {
    run,
    streaming: Boolean(streaming),
    highWaterMark: Number.isNaN(mark) ? undefined : mark,
    isAsync: run.constructor?.name === 'AsyncFunction',
  };
}

async function loadModule(root, folder, module) {
  try {
    return await resolveModule(root, folder, module);
  } catch (e) {
    if (e instanceof SyntaxError) throw new errors.UserCodeSyntaxError(e);
    if (e?.code === 'MODULE_NOT_FOUND') throw new errors.ImportModuleError(e);
    throw e;
  }
}

/** Tries the file names in AWS's order: bare, .js, .mjs, .cjs, from Node.js 24 .ts, .mts and .cts, then Node's own search. */
async function resolveModule(root, folder, module) {
  const file = path.resolve(root, folder, module);
  if (fs.existsSync(file)) return require(file);
  const esm = inModulePackage(path.dirname(file));
  const tries = [
    ['.js', esm],
    ['.mjs', true],
    ['.cjs', false],
  ];
  if (MAJOR >= 24) tries.push(['.ts', esm], ['.mts', true], ['.cts', false]);
  for (const [extension, asModule] of tries) {
    if (!fs.existsSync(file + extension)) continue;
    return asModule ? loadESModule(file + extension) : require(file + extension);
  }
  return require(require.resolve(module, { paths: [root, folder] }));
}

/** Loads an ES module: at once where that is possible, which takes half as long as import. It is not if a module waits at its top level. */
function loadESModule(file) {
  if (REQUIRES_MODULES && !hasAsyncHooks()) {
    try {
      const app = require(file);
      if (isModuleNamespaceObject(app)) return app; // else it exports something as 'module.exports', which import does not mind
    } catch (e) {
      if (e?.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw e;
    }
  }
  return import(pathToFileURL(file).href);
}

/** Whether the nearest package.json says "type": "module". */
function inModulePackage(folder) {
  for (; !folder.endsWith('/node_modules'); folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json');
    if (fs.existsSync(file)) {
      try {
        return JSON.parse(fs.readFileSync(file, 'utf8'))?.type === 'module';
      } catch (e) {
        console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, e);
        return false;
      }
    }
    if (folder === path.dirname(folder)) return false;
  }
  return false;
}

module.exports = { load, setGlobals, MAJOR };
