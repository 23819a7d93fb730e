// Errors as njs words them. quickjs-ng asks Error.prepareStackTrace for the stack whenever it makes
// an error; that is the one moment at which an engine's own message can be put into njs's words.
// Errors that the function makes itself keep their message.

const reflect = {
    construct: Reflect.construct,
    ownKeys: Reflect.ownKeys,
    deleteProperty: Reflect.deleteProperty,
};
const defineProperty = Object.defineProperty;
const stringify = JSON.stringify;
const hasOwn = Object.hasOwn;
const arrayFrom = Array.from.bind(Array);

function hidden(object, name, value) {
    defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });
}

const errorNames = ['Error', 'EvalError', 'InternalError', 'RangeError', 'ReferenceError',
    'SyntaxError', 'TypeError', 'URIError', 'AggregateError'];
const NativeError = Error;
const NativeInternalError = InternalError;
const NativeRangeError = RangeError;
const NativeSyntaxError = SyntaxError;
const NativeTypeError = TypeError;
let constructing = 0;

function isUserLine(line) {
    return line > 0 && line < FRAME_LINES;
}

NativeError.prepareStackTrace = function (error, sites) {
    let line = 0;
    let column = 0;
    let native = false;
    let frames = '';
    for (let i = 0; i < sites.length; i++) {
        const at = sites[i].getLineNumber() || 0;
        if (i === 0) native = sites[i].isNative();
        if (!isUserLine(at)) continue;
        if (line === 0) {
            line = at;
            column = sites[i].getColumnNumber() || 0;
        }
        frames += `\n    at ${sites[i].getFunctionName() || 'anonymous'} (:${at})`;
    }
    if (constructing === 0) {
        const words = host.words(String(error.name), String(error.message), line, column, native);
        if (words !== error.message) hidden(error, 'message', words);
    }
    const message = error.message === '' ? '' : `: ${error.message}`;
    return `${error.name}${message}${frames}\n`;
};

// An error made by this frame's own code, already in njs's words.
function failure(Type, message) {
    constructing++;
    try {
        return new Type(message);
    } finally {
        constructing--;
    }
}

function wrapErrorType(name) {
    const Native = globalThis[name];
    const Wrapped = function (...args) {
        constructing++;
        try {
            return reflect.construct(Native, args, new.target || Wrapped);
        } finally {
            constructing--;
        }
    };
    hidden(Wrapped, 'name', name);
    const length = name === 'AggregateError' ? 2 : 1;
    defineProperty(Wrapped, 'length', { value: length, configurable: true });
    defineProperty(Wrapped, 'prototype', { value: Native.prototype });
    hidden(Native.prototype, 'constructor', Wrapped);
    hidden(globalThis, name, Wrapped);
}

errorNames.forEach(wrapErrorType);

// njs has a MemoryError that no code can throw on purpose.
hidden(globalThis, 'MemoryError', function MemoryError() {
    return failure(NativeInternalError, 'memory');
});

// String(value), even where the value refuses.
function textOf(value) {
    try {
        return typeof value === 'symbol' ? value.toString() : String(value);
    } catch {
        return '[object]';
    }
}

function refused(name) {
    const blocked = function () {
        throw failure(NativeInternalError, 'Not implemented');
    };
    hidden(blocked, 'name', name);
    return blocked;
}
