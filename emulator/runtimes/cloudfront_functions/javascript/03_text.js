// Text and bytes. Bytes cross to the host in base64, because the bridge ends strings at U+0000.

// Long loops over characters are slow in this engine, so its own natives do the work; what they
// cannot (half surrogate pairs, broken UTF-8) is left to the loops below.

const natives = {
    atob,
    btoa,
    decodeURIComponent,
    encodeURIComponent,
    escape,
    fromBase64: Uint8Array.fromBase64.bind(Uint8Array),
    fromCharCode: String.fromCharCode,
    toBase64: Uint8Array.prototype.toBase64,
    toHex: Uint8Array.prototype.toHex,
    unescape,
};
const ASCII = /^[\x00-\x7f]*$/;
const CHUNK = 4096;

// One character per byte.
function latin1Text(bytes) {
    if (bytes.length <= CHUNK) return natives.fromCharCode.apply(null, bytes);
    let text = '';
    for (let i = 0; i < bytes.length; i += CHUNK) {
        text += natives.fromCharCode.apply(null, bytes.subarray(i, i + CHUNK));
    }
    return text;
}

function latin1Bytes(text) {
    return natives.fromBase64(natives.btoa(text));
}

function utf8Bytes(text) {
    if (ASCII.test(text)) return latin1Bytes(text);
    return latin1Bytes(natives.unescape(natives.encodeURIComponent(wellFormed(text))));
}

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(^|[^\ud800-\udbff])[\udc00-\udfff]/;
const toWellFormed = String.prototype.toWellFormed;

function wellFormed(text) {
    return LONE_SURROGATE.test(text) ? toWellFormed.call(text) : text;
}

// Decodes as the WHATWG standard says; a broken sequence gives U+FFFD, or null when it is fatal.
function utf8Text(bytes, fatal) {
    const text = latin1Text(bytes);
    if (ASCII.test(text)) return text;
    try {
        return natives.decodeURIComponent(natives.escape(text));
    } catch {
        return fatal ? null : repairedText(bytes);
    }
}

function repairedText(bytes) {
    let text = '';
    let i = 0;
    while (i < bytes.length) {
        const first = bytes[i++];
        if (first < 0x80) {
            text += String.fromCharCode(first);
            continue;
        }
        let more = 0;
        let point = 0;
        let low = 0x80;
        let high = 0xbf;
        if (first >= 0xc2 && first <= 0xdf) {
            more = 1;
            point = first & 31;
        } else if (first >= 0xe0 && first <= 0xef) {
            more = 2;
            point = first & 15;
            if (first === 0xe0) low = 0xa0;
            if (first === 0xed) high = 0x9f;
        } else if (first >= 0xf0 && first <= 0xf4) {
            more = 3;
            point = first & 7;
            if (first === 0xf0) low = 0x90;
            if (first === 0xf4) high = 0x8f;
        }
        let whole = more > 0;
        while (more > 0 && whole) {
            if (i < bytes.length && bytes[i] >= low && bytes[i] <= high) {
                point = (point << 6) | (bytes[i++] & 63);
                low = 0x80;
                high = 0xbf;
                more--;
            } else {
                whole = false;
            }
        }
        text += whole ? String.fromCodePoint(point) : '\ufffd';
    }
    return text;
}

function hexText(bytes) {
    return natives.toHex.call(bytes);
}

// Stops at the first pair that is not hexadecimal, as njs and Node.js do.
function hexBytes(text) {
    const clean = /^(?:[0-9a-fA-F]{2})*/.exec(text)[0];
    const bytes = new Uint8Array(clean.length / 2);
    for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(clean.substr(2 * i, 2), 16);
    return bytes;
}

function base64Text(bytes, alphabet, padded) {
    return natives.toBase64.call(bytes, { alphabet, omitPadding: !padded });
}

// Reads both alphabets and stops at the first character of neither; a last lone one gives nothing.
function base64Bytes(text) {
    let clean = /^[A-Za-z0-9+/_-]*/.exec(text)[0];
    if (clean.length % 4 === 1) clean = clean.slice(0, -1);
    const standard = /[-_]/.test(clean)
        ? clean.replace(/-/g, '+').replace(/_/g, '/')
        : clean;
    return natives.fromBase64(standard);
}

function asBytes(value) {
    if (ArrayBuffer.isView(value)) {
        return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    }
    return value instanceof ArrayBuffer ? new Uint8Array(value) : null;
}

class TextEncoder {
    get encoding() { return 'utf-8'; }

    encode(text) { return text === undefined ? new Uint8Array(0) : utf8Bytes(String(text)); }

    encodeInto(text, target) {
        if (!(target instanceof Uint8Array)) {
            throw failure(NativeTypeError,
                'The "destination" argument must be an instance of Uint8Array');
        }
        let read = 0;
        let written = 0;
        for (const character of String(text)) {
            const bytes = utf8Bytes(character);
            if (written + bytes.length > target.length) break;
            target.set(bytes, written);
            written += bytes.length;
            read += character.length;
        }
        return { read, written };
    }
}

class TextDecoder {
    #fatal;
    #ignoreBOM;
    #rest = [];

    constructor(encoding, options) {
        const name = encoding === undefined ? 'utf-8' : String(encoding).toLowerCase();
        if (name !== 'utf-8' && name !== 'utf8') {
            throw failure(NativeRangeError, `The "${encoding}" encoding is not supported`);
        }
        this.#fatal = Boolean(options && options.fatal);
        this.#ignoreBOM = Boolean(options && options.ignoreBOM);
    }

    get encoding() { return 'utf-8'; }

    get fatal() { return this.#fatal; }

    get ignoreBOM() { return this.#ignoreBOM; }

    decode(input, options) {
        const given = input === undefined ? new Uint8Array(0) : asBytes(input);
        if (given === null) {
            throw failure(NativeTypeError,
                'The "input" argument must be an instance of TypedArray');
        }
        let bytes = given;
        if (this.#rest.length > 0) {
            bytes = new Uint8Array(this.#rest.length + given.length);
            bytes.set(this.#rest);
            bytes.set(given, this.#rest.length);
        }
        this.#rest = [];
        if (options && options.stream) {
            const keep = unfinished(bytes);
            this.#rest = bytes.slice(bytes.length - keep);
            bytes = bytes.slice(0, bytes.length - keep);
        }
        const text = utf8Text(bytes, this.#fatal);
        if (text === null) throw failure(NativeTypeError, 'The encoded data was not valid');
        return !this.#ignoreBOM && text[0] === '\ufeff' ? text.slice(1) : text;
    }
}

// How many bytes at the end begin a sequence that has not ended.
function unfinished(bytes) {
    for (let back = 1; back <= 3 && back <= bytes.length; back++) {
        const byte = bytes[bytes.length - back];
        if (byte >= 0xc0) {
            const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
            return back < length ? back : 0;
        }
        if (byte < 0x80) return 0;
    }
    return 0;
}
