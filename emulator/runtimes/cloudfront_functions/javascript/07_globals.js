// What the real engine has stays; everything else of quickjs-ng goes. The lists are in
// 00_globals.js: AWS's two runtime pages, completed by what the njs of that time offers beside them.

const iteratorSymbol = Symbol.iterator;

function consoleLog(message) {
    host.log(textOf(message));
}

// On failure the text is read once more, for njs's message and position.
function parseJSON(text, reviver) {
    const given = String(text);
    try {
        return reviver === undefined ? NativeJSONParse(given) : NativeJSONParse(given, reviver);
    } catch (error) {
        if (!(error instanceof NativeSyntaxError)) throw error;
        throw failure(NativeSyntaxError, jsonProblem(given));
    }
}

function jsonProblem(text) {
    const blank = /[ \t\n\r]*/y;
    const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
    const word = /true|false|null/y;
    let at = 0;
    const stop = (message, position) => {
        const ended = message === 'Unexpected token' && position >= text.length;
        return `${ended ? 'Unexpected end of input' : message} at position ${position}`;
    };
    const take = (pattern) => {
        pattern.lastIndex = at;
        const found = pattern.exec(text);
        if (found === null) return false;
        at += found[0].length;
        return true;
    };
    const skipped = () => {
        take(blank);
        return text[at];
    };
    const string = () => {
        for (at++; at < text.length; at++) {
            if (text[at] === '"') {
                at++;
                return null;
            }
            if (text[at] < ' ') return stop('Forbidden source char', at);
            if (text[at] !== '\\') continue;
            at++;
            if (text[at] === 'u') {
                for (let end = at + 4; at < end;) {
                    at++;
                    if (!/[0-9a-fA-F]/.test(text[at] || ' ')) {
                        return stop('Invalid Unicode escape sequence', at);
                    }
                }
            } else if (!/["\\/bfnrt]/.test(text[at] || ' ')) {
                return stop('Unknown escape char', at);
            }
        }
        return stop('Unexpected token', at);
    };
    const members = (close, member) => {
        at++;
        if (skipped() === close) {
            at++;
            return null;
        }
        for (;;) {
            const problem = member();
            if (problem !== null) return problem;
            const next = skipped();
            if (next === close) {
                at++;
                return null;
            }
            if (next !== ',') return stop('Unexpected token', at);
            const comma = at++;
            if (skipped() === close) return stop('Trailing comma', comma);
        }
    };
    const pair = () => {
        if (skipped() !== '"') return stop('Unexpected token', at);
        const problem = string();
        if (problem !== null) return problem;
        if (skipped() !== ':') return stop('Unexpected token', at);
        at++;
        return value();
    };
    const value = () => {
        const first = skipped();
        if (first === '{') return members('}', pair);
        if (first === '[') return members(']', value);
        if (first === '"') return string();
        if (first === '-' && !/\d/.test(text[at + 1] || ' ')) return stop('Unexpected number', at);
        return take(number) || take(word) ? null : stop('Unexpected token', at);
    };
    const problem = value();
    if (problem !== null) return problem;
    skipped();
    return stop('Unexpected token', at);
}

function base64Decoded(text) {
    const wrong = () => failure(NativeTypeError,
        'the string to be decoded is not correctly encoded');
    const clean = String(text).replace(/[\t\n\f\r ]/g, '');
    const bare = clean.length % 4 === 0 ? clean.replace(/==?$/, '') : clean;
    if (bare.length % 4 === 1 || !/^[A-Za-z0-9+/]*$/.test(bare)) throw wrong();
    return latin1Text(base64Bytes(bare));
}

function base64Encoded(text) {
    const given = String(text);
    if (/[^\x00-\xff]/.test(given)) {
        throw failure(NativeTypeError, 'invalid character (>= U+00FF)');
    }
    return natives.btoa(given);
}

function addByteStrings() {
    // Runtime 1.0's byte strings: text whose units are bytes.
    const bytesOf = (text) => new Uint8Array(arrayFrom(String(text), (c) => c.charCodeAt(0)));
    const written = (bytes) => latin1Text(new Uint8Array(bytes));
    hidden(String, 'bytesFrom', function bytesFrom(value, encoding) {
        if (typeof value === 'string') return written(encodingOf(encoding || 'utf8')[0](value));
        if (Array.isArray(value)) return written(value);
        throw failure(NativeTypeError, 'value must be a string or array');
    });
    const proto = String.prototype;
    hidden(proto, 'toUTF8', function toUTF8(start, end) {
        return written(utf8Bytes(this.slice(start, end)));
    });
    hidden(proto, 'fromUTF8', function fromUTF8(start, end) {
        return utf8Text(bytesOf(this.slice(start, end)), true);
    });
    hidden(proto, 'toBytes', function toBytes(start, end) {
        const part = this.slice(start, end);
        for (let i = 0; i < part.length; i++) if (part.charCodeAt(i) > 255) return null;
        return String(part);
    });
    hidden(proto, 'fromBytes', function fromBytes(start, end) {
        return written(bytesOf(this.slice(start, end)));
    });
    const plain = proto.toString;
    hidden(proto, 'toString', function toString(encoding) {
        const text = plain.call(this);
        return encoding === undefined ? text : encodingOf(encoding)[1](bytesOf(text));
    });
}

function addGlobals() {
    const consoleObject = {};
    hidden(consoleObject, 'log', consoleLog);
    hidden(globalThis, 'console', consoleObject);
    hidden(globalThis, 'require', require);
    hidden(globalThis, 'eval', refused('eval'));
    hidden(JSON, 'parse', parseJSON);
    if (RUNTIME_1) {
        addByteStrings();
        return;
    }
    hidden(globalThis, 'Buffer', Buffer);
    hidden(globalThis, 'TextEncoder', TextEncoder);
    hidden(globalThis, 'TextDecoder', TextDecoder);
    hidden(globalThis, 'atob', base64Decoded);
    hidden(globalThis, 'btoa', base64Encoded);
}

// njs knows the flags g, i, m and (2.0) y only.
function narrowRegExp() {
    const NativeRegExp = RegExp;
    const known = RUNTIME_1 ? 'gim' : 'gimy';
    const Narrow = function (pattern, flags) {
        const given = flags === undefined ? '' : String(flags);
        for (const flag of given) {
            if (!known.includes(flag)) {
                throw failure(NativeSyntaxError, `Invalid RegExp flags "${given}"`);
            }
        }
        return reflect.construct(NativeRegExp, flags === undefined ? [pattern] : [pattern, given],
            new.target || Narrow);
    };
    hidden(Narrow, 'name', 'RegExp');
    defineProperty(Narrow, 'length', { value: 2, configurable: true });
    defineProperty(Narrow, 'prototype', { value: NativeRegExp.prototype });
    hidden(NativeRegExp.prototype, 'constructor', Narrow);
    hidden(globalThis, 'RegExp', Narrow);
}

function blockFunctionConstructors() {
    const blocked = refused('Function');
    defineProperty(blocked, 'prototype', { value: Function.prototype });
    hidden(globalThis, 'Function', blocked);
    const kinds = [function () {}, async function () {}, function* () {}, async function* () {}];
    for (const made of kinds) {
        const proto = Object.getPrototypeOf(made);
        defineProperty(proto, 'constructor', { value: blocked, configurable: false });
    }
}

function keepOnly(object, names) {
    const kept = {};
    for (let i = 0; i < names.length; i++) kept[`:${names[i]}`] = true;
    const keys = reflect.ownKeys(object);
    for (let i = 0; i < keys.length; i++) {
        const key = keys[i];
        const name = typeof key === 'symbol' ? `@@${key.description.slice('Symbol.'.length)}` : key;
        if (kept[`:${name}`] !== true) reflect.deleteProperty(object, key);
    }
}

function prune() {
    const typedArray = Object.getPrototypeOf(Uint8Array);
    const arrayIterator = Object.getPrototypeOf([][iteratorSymbol]());
    const named = { '%TypedArray%': typedArray };
    for (const [name, members] of Object.entries(GLOBALS.members)) {
        const [owner, part] = name.split('.');
        const object = named[owner] || globalThis[owner];
        if (object !== undefined) keepOnly(part === undefined ? object : object[part], members);
    }
    // Iterator helpers are not of njs's time.
    keepOnly(Object.getPrototypeOf(arrayIterator), ['@@iterator']);
    keepOnly(globalThis, GLOBALS.names);
}
