// The Node.js side of a sandbox: loads a handler, then answers one invocation after the other.
//
// It imitates AWS's Node.js runtime interface client
// (https://github.com/aws/aws-lambda-nodejs-runtime-interface-client): async and callback handlers,
// `context.done` and its two relatives, console output with time, request id and level. The frames
// are those of sandbox/__init__.py. Started as `node node_runtime.js <fd>`; the first frame is the
// configuration. A runtime of ours, in a process of the handler's own.
'use strict';

const fs = require('fs');
const net = require('net');
const path = require('path');
const { pathToFileURL } = require('url');
const util = require('util');

const HEAD_BYTES = 21;
const PAYLOAD_MAX_BYTES = 6291556;
const channel = new net.Socket({ fd: Number(process.argv[2]), readable: true, writable: true });
let received = Buffer.alloc(0);
let config = null;
let handler = null;
let number = 0;
let requestId = 'undefined';
const nothing = () => {};
let whenIdle = nothing;

// Not resourceUsage where it can be helped: on Linux its figure begins with that of the process
// that started this one.
function maxMemoryKb() {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync('/proc/self/status', 'latin1'))[1]);
  } catch {
    return process.resourceUsage().maxRSS;
  }
}

function send(kind, payload, startedNs) {
  const head = Buffer.alloc(HEAD_BYTES);
  head.write(kind, 0, 'latin1');
  head.writeUInt32BE(payload.length, 1);
  head.writeUInt32BE(number, 5);
  head.writeDoubleBE(startedNs ? Number(process.hrtime.bigint() - startedNs) / 1e6 : 0, 9);
  head.writeUInt32BE(maxMemoryKb(), 17);
  channel.write(payload.length ? Buffer.concat([head, payload]) : head);
}

function write(text) {
  // Straight to the pipe: the line is there before the result is.
  let rest = Buffer.from(text);
  while (rest.length) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

function patchConsole() {
  const levels = { log: 'INFO', debug: 'DEBUG', info: 'INFO', warn: 'WARN', error: 'ERROR', trace: 'TRACE' };
  for (const [name, level] of Object.entries(levels)) {
    console[name] = (...parts) =>
      write(`${new Date().toISOString()}\t${requestId}\t${level}\t${util.format(...parts)}\n`);
  }
}

function describe(error) {
  if (error instanceof Error) {
    const trace = String(error.stack || '')
      .split('\n')
      .filter((line) => line.startsWith('    at ') && !line.includes(__filename) && !line.includes('node:'))
      .join('\n');
    return { errorType: error.name, errorMessage: error.message, trace };
  }
  const text = typeof error === 'string' ? error : util.inspect(error);
  return { errorType: typeof error, errorMessage: text, trace: '' };
}

function fail(error, startedNs, kind = 'E') {
  const said = describe(error);
  const trace = said.trace ? `\n${said.trace}` : '';
  write(`${new Date().toISOString()}\t${requestId}\tERROR\tInvoke Error\t${said.errorType}: ${said.errorMessage}${trace}\n`);
  send(kind, Buffer.from(JSON.stringify(said)), startedNs);
}

function failAndEnd(error) {
  fail(error, undefined, 'X');
  channel.end(() => process.exit(1));
}

function named(name, message) {
  const error = new Error(message);
  error.name = name;
  error.stack = '';
  return error;
}

async function load(name) {
  const dot = name.lastIndexOf('.');
  const [file, exported] = [path.resolve(config.task_root, name.slice(0, dot)), name.slice(dot + 1)];
  let module;
  try {
    const script = ['.js', '.mjs', '.cjs'].map((suffix) => file + suffix).find((one) => fs.existsSync(one));
    module = await loadScript(script, file);
  } catch (error) {
    if (error instanceof SyntaxError) throw named('Runtime.UserCodeSyntaxError', error.message);
    if (error && (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND')) {
      throw named('Runtime.ImportModuleError', error.message.split('\n')[0]);
    }
    throw error;
  }
  const found = module[exported] ?? module.default?.[exported];
  if (typeof found !== 'function') {
    throw named('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  }
  return found;
}

async function loadScript(script, file) {
  if (!script) throw named('Runtime.ImportModuleError', `Cannot find module '${file}'`);
  if (script.endsWith('.mjs')) return import(pathToFileURL(script).href);
  try {
    return require(script);
  } catch (error) {
    // "type": "module" in the package's package.json.
    if (error.code === 'ERR_REQUIRE_ESM') return import(pathToFileURL(script).href);
    throw error;
  }
}

function invoke(message) {
  const startedNs = process.hrtime.bigint();
  requestId = message.id;
  process.env._X_AMZN_TRACE_ID = message.trace;
  let open = true;
  const done = (error, value) => {
    if (!open) return;
    open = false;
    whenIdle = nothing;
    channel.ref();
    if (error !== undefined && error !== null) fail(error, startedNs);
    else reply(value, startedNs);
  };
  const names = config.names;
  const context = {
    awsRequestId: message.id,
    callbackWaitsForEmptyEventLoop: true,
    functionName: names.function_name,
    functionVersion: names.version,
    invokedFunctionArn: names.arn,
    logGroupName: names.log_group,
    logStreamName: names.log_stream,
    memoryLimitInMB: names.memory_mb,
    getRemainingTimeInMillis: () =>
      Math.max(0, Math.floor(message.timeout_ms - Number(process.hrtime.bigint() - startedNs) / 1e6)),
    done,
    fail: (error) => done(error ?? new Error('handled')),
    succeed: (value) => done(null, value),
  };
  const callback = (error, value) => {
    if ((error !== undefined && error !== null) || !context.callbackWaitsForEmptyEventLoop) done(error, value);
    else whenIdle = () => done(null, value);
  };
  // As at AWS: when nothing is left to do and nobody has answered, the result is null.
  whenIdle = () => done(null, null);
  channel.unref();
  try {
    const result = handler(message.event, context, callback);
    if (result && typeof result.then === 'function') {
      result.then((value) => done(null, value), (error) => done(error ?? new Error(String(error))));
    }
  } catch (error) {
    done(error ?? new Error(String(error)));
  }
}

function reply(value, startedNs) {
  let payload;
  try {
    payload = Buffer.from(JSON.stringify(value === undefined ? null : value) ?? 'null');
  } catch (error) {
    fail(named('Runtime.MarshalError', `Unable to stringify response body: ${error.message}`), startedNs);
    return;
  }
  if (payload.length > PAYLOAD_MAX_BYTES) {
    fail(
      named(
        'Function.ResponseSizeTooLarge',
        `Response payload size (${payload.length} bytes) exceeded maximum allowed payload size (${PAYLOAD_MAX_BYTES} bytes).`
      ),
      startedNs
    );
    return;
  }
  send('R', payload, startedNs);
}

async function take(frame) {
  if (handler) {
    invoke(frame);
    return;
  }
  config = frame;
  process.chdir(config.task_root);
  patchConsole();
  try {
    handler = await load(config.handler);
  } catch (error) {
    failAndEnd(error);
    return;
  }
  send('I', Buffer.alloc(0));
}

process.on('uncaughtException', failAndEnd);
process.on('unhandledRejection', (error) =>
  failAndEnd(named('Runtime.UnhandledPromiseRejection', describe(error).errorMessage))
);
process.on('beforeExit', () => setImmediate(whenIdle));
channel.on('data', (piece) => {
  received = received.length ? Buffer.concat([received, piece]) : piece;
  while (received.length >= 8) {
    const end = 8 + received.readUInt32BE(0);
    if (received.length < end) return;
    number = received.readUInt32BE(4);
    const frame = JSON.parse(received.subarray(8, end));
    received = received.subarray(end);
    take(frame);
  }
});
channel.on('error', () => process.exit(1));
channel.on('close', () => process.exit(0));
