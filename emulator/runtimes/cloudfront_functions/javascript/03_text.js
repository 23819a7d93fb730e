// Text and bytes. Bytes cross to the host as a string with one character U+0100 + byte each, because
// the bridge ends strings at U+0000.

function utf8Bytes(text) {
    const bytes = [];
    for (let i = 0; i < text.length; i++) {
        let c = text.charCodeAt(i);
        if (c < 0x80) {
            bytes.push(c);
            continue;
        }
        if (c >= 0xd800 && c <= 0xdfff) {
            const low = c <= 0xdbff && i + 1 < text.length ? text.charCodeAt(i + 1) : 0;
            if (low >= 0xdc00 && low <= 0xdfff) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                i++;
            } else {
                c = 0xfffd;
            }
        }
        if (c < 0x800) {
            bytes.push(0xc0 | (c >> 6), 0x80 | (c & 63));
        } else if (c < 0x10000) {
            bytes.push(0xe0 | (c >> 12), 0x80 | ((c >> 6) & 63), 0x80 | (c & 63));
        } else {
            bytes.push(0xf0 | (c >> 18), 0x80 | ((c >> 12) & 63), 0x80 | ((c >> 6) & 63),
                0x80 | (c & 63));
        }
    }
    return bytes;
}

// Decodes as the WHATWG standard says; a broken sequence gives U+FFFD, or null when it is fatal.
function utf8Text(bytes, fatal) {
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
        if (!whole && fatal) return null;
        text += whole ? String.fromCodePoint(point) : '\ufffd';
    }
    return text;
}

function bridged(bytes) {
    let text = '';
    for (let i = 0; i < bytes.length; i++) text += String.fromCharCode(0x100 + bytes[i]);
    return text;
}

const HEX = '0123456789abcdef';
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const BASE64URL = `${BASE64.slice(0, 62)}-_`;
const sixBits = {};
for (let i = 0; i < 64; i++) {
    sixBits[BASE64[i]] = i;
    sixBits[BASE64URL[i]] = i;
}

function hexText(bytes) {
    let text = '';
    for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i] >> 4] + HEX[bytes[i] & 15];
    return text;
}

// Stops at the first pair that is not hexadecimal, as njs and Node.js do.
function hexBytes(text) {
    const bytes = [];
    for (let i = 0; i + 1 < text.length; i += 2) {
        const high = HEX.indexOf(text[i].toLowerCase());
        const low = HEX.indexOf(text[i + 1].toLowerCase());
        if (high < 0 || low < 0) break;
        bytes.push((high << 4) | low);
    }
    return bytes;
}

function base64Text(bytes, alphabet, padded) {
    let text = '';
    let i = 0;
    for (; i + 2 < bytes.length; i += 3) {
        const n = (bytes[i] << 16) | (bytes[i + 1] << 8) | bytes[i + 2];
        text += alphabet[n >> 18] + alphabet[(n >> 12) & 63] + alphabet[(n >> 6) & 63]
            + alphabet[n & 63];
    }
    const rest = bytes.length - i;
    if (rest === 1) {
        text += alphabet[bytes[i] >> 2] + alphabet[(bytes[i] & 3) << 4] + (padded ? '==' : '');
    } else if (rest === 2) {
        const n = (bytes[i] << 8) | bytes[i + 1];
        text += alphabet[n >> 10] + alphabet[(n >> 4) & 63] + alphabet[(n & 15) << 2]
            + (padded ? '=' : '');
    }
    return text;
}

// Reads both alphabets and stops at the first character of neither.
function base64Bytes(text) {
    const bytes = [];
    let bits = 0;
    let count = 0;
    for (let i = 0; i < text.length; i++) {
        const six = sixBits[text[i]];
        if (six === undefined) break;
        bits = (bits << 6) | six;
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes.push((bits >> count) & 255);
        }
    }
    return bytes;
}

function asBytes(value) {
    if (ArrayBuffer.isView(value)) {
        return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    }
    return value instanceof ArrayBuffer ? new Uint8Array(value) : null;
}

class TextEncoder {
    get encoding() { return 'utf-8'; }

    encode(text) { return new Uint8Array(text === undefined ? [] : utf8Bytes(String(text))); }

    encodeInto(text, target) {
        if (!(target instanceof Uint8Array)) {
            throw failure(NativeTypeError, 'The "destination" argument must be an instance of Uint8Array');
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
            throw failure(NativeTypeError, 'The "input" argument must be an instance of TypedArray');
        }
        let bytes = [...this.#rest, ...given];
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
