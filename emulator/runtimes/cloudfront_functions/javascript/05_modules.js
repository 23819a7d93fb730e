// require(): crypto and querystring, as njs has them.

const hashSizes = { md5: 16, sha1: 20, sha256: 32 };
const digestEncodings = { hex: hexText, base64: encodings.base64[1], base64url: encodings.base64url[1] };

function algorithmOf(name) {
    if (typeof name !== 'string') throw failure(NativeTypeError, 'algorithm must be a string');
    if (hasOwn(hashSizes, name)) return name;
    throw failure(NativeTypeError, `not supported algorithm: "${name}"`);
}

function hashInput(what, value, encoding) {
    if (typeof value === 'string') {
        return bridged(typeof encoding === 'string' ? encodingOf(encoding)[0](value) : utf8Bytes(value));
    }
    const bytes = asBytes(value);
    if (bytes !== null) return bridged(bytes);
    throw failure(NativeTypeError, `${what} is not a string or Buffer-like object`);
}

// Runtime 1.0 has byte strings where 2.0 has Buffers.
function rawDigest(bytes) {
    return RUNTIME_1 ? String.fromCharCode(...bytes) : Buffer.from(bytes);
}

class Hash {
    #algorithm;
    #key;
    #data = '';
    #digested = false;

    constructor(algorithm, key) {
        this.#algorithm = algorithm;
        this.#key = key;
    }

    update(data, encoding) {
        this.#needOpen();
        this.#data += hashInput('data', data, encoding);
        return this;
    }

    digest(encoding) {
        this.#needOpen();
        if (encoding !== undefined && !hasOwn(digestEncodings, encoding)) {
            throw failure(NativeTypeError, `Unknown digest encoding: "${textOf(encoding)}"`);
        }
        this.#digested = true;
        const bytes = hexBytes(host.hash(this.#algorithm, this.#key, this.#data));
        return encoding === undefined ? rawDigest(bytes) : digestEncodings[encoding](bytes);
    }

    copy() {
        this.#needOpen();
        const twin = new this.constructor(this.#algorithm, this.#key);
        twin.update(Buffer.from(arrayFrom(this.#data, (c) => c.charCodeAt(0) - 0x100)));
        return twin;
    }

    #needOpen() {
        if (this.#digested) throw failure(NativeError, 'Digest already called');
    }
}

class Hmac extends Hash {}

const cryptoModule = {
    createHash(algorithm) { return new Hash(algorithmOf(algorithm), null); },
    createHmac(algorithm, key) {
        return new Hmac(algorithmOf(algorithm), hashInput('key', key));
    },
};

// Every byte but these is escaped.
const UNESCAPED = /[A-Za-z0-9\-_.~!'()*]/;

function percentEncoded(text) {
    let out = '';
    for (const byte of utf8Bytes(text)) {
        const character = byte < 0x80 ? String.fromCharCode(byte) : '';
        out += character !== '' && UNESCAPED.test(character)
            ? character
            : `%${hexText([byte]).toUpperCase()}`;
    }
    return out;
}

function percentDecoded(text) {
    const bytes = [];
    for (let i = 0; i < text.length; i++) {
        const hex = text[i] === '%' ? hexBytes(text.slice(i + 1, i + 3)) : [];
        if (hex.length === 1) {
            bytes.push(hex[0]);
            i += 2;
        } else if (text[i] === '+') {
            bytes.push(0x20);
        } else {
            const point = text.codePointAt(i);
            if (point > 0xffff) i++;
            for (const byte of utf8Bytes(String.fromCodePoint(point))) bytes.push(byte);
        }
    }
    return utf8Text(bytes, false);
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
if (!RUNTIME_1) modules.buffer = { Buffer, constants: { MAX_LENGTH: 2147483647 }, kMaxLength: 2147483647 };

for (const name of Object.keys(modules)) Object.freeze(modules[name]);

function require(name) {
    if (typeof name !== 'string') throw failure(NativeTypeError, 'missing path');
    if (hasOwn(modules, name)) return modules[name];
    throw failure(NativeError, `Cannot find module "${name}"`);
}
