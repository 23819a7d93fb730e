// require(): crypto and querystring, as njs has them.

const hashSizes = { md5: 16, sha1: 20, sha256: 32 };
const digestEncodings = ['hex', 'base64', 'base64url'];

function algorithmOf(name) {
    if (typeof name !== 'string') throw failure(NativeTypeError, 'algorithm must be a string');
    if (hasOwn(hashSizes, name)) return name;
    throw failure(NativeTypeError, `not supported algorithm: "${name}"`);
}

// Text that the bridge can carry as it is goes as it is, all else in base64.
const UNBRIDGED = /[\0\ud800-\udfff]/;

function hashInput(what, value, encoding) {
    if (typeof value === 'string') {
        if (typeof encoding !== 'string') {
            if (!UNBRIDGED.test(value)) return { text: value, bytes: null };
            return { text: '', bytes: utf8Bytes(value) };
        }
        return { text: '', bytes: encodingOf(encoding)[0](value) };
    }
    const bytes = asBytes(value);
    if (bytes !== null) return { text: '', bytes };
    throw failure(NativeTypeError, `${what} is not a string or Buffer-like object`);
}

// A copy, because the array may change before the digest is made.
function kept(input) {
    return input.bytes === null ? input : { text: '', bytes: input.bytes.slice() };
}

function joined(parts) {
    if (parts.length === 0) return { text: '', bytes: null };
    if (parts.length === 1) return parts[0];
    if (parts.every((part) => part.bytes === null)) {
        return { text: parts.map((part) => part.text).join(''), bytes: null };
    }
    const all = parts.map((part) => (part.bytes === null ? utf8Bytes(part.text) : part.bytes));
    const bytes = new Uint8Array(all.reduce((total, part) => total + part.length, 0));
    let at = 0;
    for (const part of all) {
        bytes.set(part, at);
        at += part.length;
    }
    return { text: '', bytes };
}

function bridged(input) {
    return input.bytes === null ? input.text : base64Text(input.bytes, 'base64', true);
}

// Runtime 1.0 has byte strings where 2.0 has Buffers.
function rawDigest(base64) {
    const bytes = base64Bytes(base64);
    return RUNTIME_1 ? latin1Text(bytes) : Buffer.from(bytes);
}

class Hash {
    #algorithm;
    #key;
    #parts;
    #digested = false;

    constructor(algorithm, key, parts) {
        this.#algorithm = algorithm;
        this.#key = key;
        this.#parts = parts;
    }

    update(data, encoding) {
        this.#needOpen();
        const input = hashInput('data', data, encoding);
        this.#parts.push(kept(input));
        return this;
    }

    digest(encoding) {
        this.#needOpen();
        if (encoding !== undefined && !digestEncodings.includes(encoding)) {
            throw failure(NativeTypeError, `Unknown digest encoding: "${textOf(encoding)}"`);
        }
        this.#digested = true;
        const data = joined(this.#parts);
        const key = this.#key;
        const text = host.hash(this.#algorithm, key === null ? null : bridged(key),
            key !== null && key.bytes !== null, bridged(data), data.bytes !== null,
            encoding === undefined ? 'base64' : encoding);
        return encoding === undefined ? rawDigest(text) : text;
    }

    copy() {
        this.#needOpen();
        return new this.constructor(this.#algorithm, this.#key, this.#parts.slice());
    }

    #needOpen() {
        if (this.#digested) throw failure(NativeError, 'Digest already called');
    }
}

class Hmac extends Hash {}

const cryptoModule = {
    createHash(algorithm) { return new Hash(algorithmOf(algorithm), null, []); },
    createHmac(algorithm, key) {
        const name = algorithmOf(algorithm);
        const input = hashInput('key', key);
        return new Hmac(name, kept(input), []);
    },
};

function percentEncoded(text) {
    return natives.encodeURIComponent(wellFormed(text));
}

function percentDecoded(text) {
    const spaced = text.replace(/\+/g, ' ');
    if (!spaced.includes('%')) return spaced;
    try {
        return natives.decodeURIComponent(spaced);
    } catch {
        // Broken escapes stay as they are, broken UTF-8 becomes U+FFFD.
        const latin1 = natives.unescape(natives.encodeURIComponent(wellFormed(spaced)));
        return utf8Text(latin1Bytes(latin1.replace(/%([0-9a-fA-F]{2})/g,
            (_, hex) => natives.fromCharCode(parseInt(hex, 16)))), false);
    }
}

function separator(value, fallback) {
    if (value === undefined || value === null) return fallback;
    return String(value) || fallback;
}

function optionFunction(options, name, fallback, missing) {
    if (typeof options === 'object' && options !== null && options[name] !== undefined) {
        if (typeof options[name] !== 'function') {
            throw failure(NativeTypeError, `option ${name} is not a function`);
        }
        return options[name];
    }
    if (typeof fallback !== 'function') {
        throw failure(NativeTypeError, `QueryString.${missing} is not a function`);
    }
    return fallback;
}

function parseQuery(text, sep, eq, options) {
    const decode = optionFunction(options, 'decodeURIComponent', this.unescape, 'unescape');
    let left = 1000;
    if (typeof options === 'object' && options !== null && options.maxKeys !== undefined) {
        if (typeof options.maxKeys !== 'number' || Number.isNaN(options.maxKeys)) {
            throw failure(NativeTypeError, 'is not a number');
        }
        left = options.maxKeys === 0 ? Infinity : options.maxKeys;
    }
    const result = {};
    if (typeof text !== 'string') return result;
    const equals = separator(eq, '=');
    for (const part of text.split(separator(sep, '&'))) {
        if (left-- <= 0) break;
        if (part === '') continue;
        const at = part.indexOf(equals);
        const rawName = at < 0 ? part : part.slice(0, at);
        const rawValue = at < 0 ? '' : part.slice(at + equals.length);
        const name = rawName === '' ? '' : String(decode(rawName));
        const value = rawValue === '' ? '' : String(decode(rawValue));
        if (!hasOwn(result, name)) {
            result[name] = value;
        } else if (Array.isArray(result[name])) {
            result[name].push(value);
        } else {
            result[name] = [result[name], value];
        }
    }
    return result;
}

function stringifyQuery(object, sep, eq, options) {
    if (typeof object !== 'object' || object === null) return '';
    const encode = optionFunction(options, 'encodeURIComponent', this.escape, 'escape');
    const equals = separator(eq, '=');
    const parts = [];
    for (const name of Object.keys(object)) {
        const values = Array.isArray(object[name]) ? object[name] : [object[name]];
        for (const value of values) {
            const written = typeof value === 'string' || typeof value === 'boolean'
                || (typeof value === 'number' && Number.isFinite(value));
            parts.push(encode(name) + equals + (written ? encode(String(value)) : ''));
        }
    }
    return parts.join(separator(sep, '&'));
}

const querystringModule = {
    parse: parseQuery,
    decode: parseQuery,
    stringify: stringifyQuery,
    encode: stringifyQuery,
    escape(text) { return percentEncoded(String(text)); },
    unescape(text) { return percentDecoded(String(text)); },
};

const modules = { crypto: cryptoModule, querystring: querystringModule };
if (!RUNTIME_1) {
    modules.buffer = { Buffer, constants: { MAX_LENGTH: 2147483647 }, kMaxLength: 2147483647 };
}

for (const name of Object.keys(modules)) Object.freeze(modules[name]);

function require(name) {
    if (typeof name !== 'string') throw failure(NativeTypeError, 'missing path');
    if (hasOwn(modules, name)) return modules[name];
    throw failure(NativeError, `Cannot find module "${name}"`);
}
