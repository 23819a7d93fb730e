// Buffer as njs has it: Node's, without the parts that njs leaves out. Runtime 2.0 only.

const encodings = {
    'utf-8': [utf8Bytes, (bytes) => utf8Text(bytes, false)],
    hex: [hexBytes, hexText],
    base64: [base64Bytes, (bytes) => base64Text(bytes, 'base64', true)],
    base64url: [base64Bytes, (bytes) => base64Text(bytes, 'base64url', false)],
};
encodings.utf8 = encodings['utf-8'];

function encodingOf(name) {
    if (name === undefined) return encodings.utf8;
    const found = typeof name === 'string' && hasOwn(encodings, name) ? encodings[name] : null;
    if (found !== null) return found;
    throw failure(NativeTypeError, `"${textOf(name)}" encoding is not supported`);
}

function notBufferLike(what, value) {
    const kind = value === null ? 'null' : typeof value;
    return failure(NativeTypeError, `${what} ${kind} is not a string or Buffer-like object`);
}

function needBytes(what, value) {
    if (value instanceof Uint8Array) return value;
    throw failure(NativeTypeError,
        `"${what}" argument must be an instance of Buffer or Uint8Array`);
}

function needSize(value) {
    if (typeof value !== 'number') {
        throw failure(NativeTypeError, '"size" argument must be of type number');
    }
    if (value < 0 || value > 2147483647) throw failure(NativeRangeError, 'invalid size');
    return value;
}

// An offset argument: undefined is the default, anything else becomes an integer.
function offsetOf(value, fallback) {
    return value === undefined ? fallback : Math.trunc(Number(value)) || 0;
}

function boundedOffset(name, value, fallback, limit) {
    const offset = offsetOf(value, fallback);
    if (offset < 0 || offset > limit) throw failure(NativeRangeError, `"${name}" is out of range`);
    return offset;
}

function bytesToFind(value, encoding) {
    if (typeof value === 'string') return encodingOf(encoding)[0](value);
    if (typeof value === 'number') return [value & 255];
    const bytes = asBytes(value);
    if (bytes === null) throw notBufferLike('"value" argument', value);
    return bytes;
}

function compareBytes(a, b) {
    const shared = Math.min(a.length, b.length);
    for (let i = 0; i < shared; i++) {
        if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
    }
    return Math.sign(a.length - b.length);
}

function matchesAt(bytes, wanted, at) {
    for (let i = 0; i < wanted.length; i++) {
        if (bytes[at + i] !== wanted[i]) return false;
    }
    return true;
}

const MAKING = Symbol('making');

class Buffer extends Uint8Array {
    constructor(making, ...args) {
        // njs: "Buffer is not a constructor". Typed array methods that make a new array do not
        // come here: their species is Uint8Array.
        if (making !== MAKING) throw failure(NativeTypeError, 'Buffer is not a constructor');
        super(...args);
    }

    static get [Symbol.species]() { return Uint8Array; }

    static alloc(size, fill, encoding) {
        const made = new Buffer(MAKING, needSize(size));
        return fill === undefined ? made : made.fill(fill, encoding);
    }

    static allocUnsafe(size) { return new Buffer(MAKING, needSize(size)); }

    static allocUnsafeSlow(size) { return new Buffer(MAKING, needSize(size)); }

    static from(value, second, third) {
        if (typeof value === 'string') return new Buffer(MAKING, encodingOf(second)[0](value));
        if (value instanceof ArrayBuffer) {
            const offset = boundedOffset('offset', second, 0, value.byteLength);
            const length = boundedOffset('length', third, value.byteLength - offset,
                value.byteLength - offset);
            return new Buffer(MAKING, value, offset, length);
        }
        if (typeof value === 'object' && value !== null) {
            if (Array.isArray(value) || ArrayBuffer.isView(value)) {
                return new Buffer(MAKING, Uint8Array.from(value));
            }
            const inner = value.valueOf();
            if (inner !== value && inner !== null && inner !== undefined) {
                return Buffer.from(inner, second, third);
            }
            const data = value.type === 'Buffer' ? value.data : value;
            if (data !== undefined && data !== null && typeof data.length === 'number') {
                return new Buffer(MAKING, Uint8Array.from(data));
            }
        }
        throw notBufferLike('first argument', value);
    }

    static byteLength(value, encoding) {
        if (typeof value === 'string') return encodingOf(encoding)[0](value).length;
        const bytes = asBytes(value);
        if (bytes === null) throw notBufferLike('first argument', value);
        return bytes.length;
    }

    static compare(a, b) { return compareBytes(needBytes('source', a), needBytes('target', b)); }

    static concat(list, length) {
        if (!Array.isArray(list)) {
            throw failure(NativeTypeError, '"list" argument must be an instance of Array');
        }
        let total = 0;
        list.forEach((part, i) => { total += needBytes(`list[${i}]`, part).length; });
        const made = new Buffer(MAKING, length === undefined ? total : needSize(length));
        let at = 0;
        for (const part of list) {
            const room = made.length - at;
            if (room <= 0) break;
            made.set(part.length > room ? part.subarray(0, room) : part, at);
            at += part.length;
        }
        return made;
    }

    static isBuffer(value) { return value instanceof Buffer; }

    static isEncoding(name) { return typeof name === 'string' && hasOwn(encodings, name); }

    compare(target, targetStart, targetEnd, start, end) {
        const other = needBytes('target', target);
        const a = this.subarray(offsetOf(start, 0), offsetOf(end, this.length));
        const b = Uint8Array.prototype.subarray.call(other, offsetOf(targetStart, 0),
            offsetOf(targetEnd, other.length));
        return compareBytes(a, b);
    }

    equals(other) { return compareBytes(this, needBytes('target', other)) === 0; }

    copy(target, targetStart, start, end) {
        const to = needBytes('target', target);
        const at = boundedOffset('targetStart', targetStart, 0, to.length);
        const from = boundedOffset('sourceStart', start, 0, this.length);
        const until = boundedOffset('sourceEnd', end, this.length, this.length);
        const count = Math.max(0, Math.min(until - from, to.length - at));
        Uint8Array.prototype.set.call(to, this.subarray(from, from + count), at);
        return count;
    }

    fill(value, offset, end, encoding) {
        let name = encoding;
        let from = offset;
        let until = end;
        if (typeof from === 'string') {
            name = from;
            from = undefined;
            until = undefined;
        } else if (typeof until === 'string') {
            name = until;
            until = undefined;
        }
        const start = boundedOffset('offset', from, 0, this.length);
        const stop = boundedOffset('end', until, this.length, this.length);
        let pattern;
        if (typeof value === 'string') {
            pattern = encodingOf(name)[0](value);
        } else {
            pattern = asBytes(value) || [Number(value) & 255];
        }
        if (pattern.length === 0) pattern = [0];
        for (let i = start; i < stop; i++) this[i] = pattern[(i - start) % pattern.length];
        return this;
    }

    indexOf(value, from, encoding) {
        const wanted = bytesToFind(value, typeof from === 'string' ? from : encoding);
        let start = typeof from === 'string' ? 0 : offsetOf(from, 0);
        if (start < 0) start = Math.max(0, this.length + start);
        for (let i = start; i + wanted.length <= this.length; i++) {
            if (matchesAt(this, wanted, i)) return i;
        }
        return -1;
    }

    lastIndexOf(value, from, encoding) {
        const wanted = bytesToFind(value, typeof from === 'string' ? from : encoding);
        const last = this.length - wanted.length;
        let start = from === undefined || typeof from === 'string' ? last : offsetOf(from, last);
        if (start < 0) start += this.length;
        for (let i = Math.min(start, last); i >= 0; i--) {
            if (matchesAt(this, wanted, i)) return i;
        }
        return -1;
    }

    includes(value, from, encoding) { return this.indexOf(value, from, encoding) !== -1; }

    slice(start, end) { return this.subarray(start, end); }

    subarray(start, end) {
        const part = new Uint8Array(this.buffer, this.byteOffset, this.length)
            .subarray(offsetOf(start, 0), offsetOf(end, this.length));
        return new Buffer(MAKING, part.buffer, part.byteOffset, part.length);
    }

    toJSON() { return { type: 'Buffer', data: arrayFrom(this) }; }

    toString(encoding, start, end) {
        const write = encodingOf(encoding)[1];
        if (start === undefined && end === undefined) return write(this);
        return write(this.subarray(offsetOf(start, 0), offsetOf(end, this.length)));
    }

    write(text, offset, length, encoding) {
        if (typeof text !== 'string') {
            throw failure(NativeTypeError, 'first argument must be a string');
        }
        let at = offset;
        let count = length;
        let name = encoding;
        if (typeof at === 'string') {
            name = at;
            at = undefined;
            count = undefined;
        } else if (typeof count === 'string') {
            name = count;
            count = undefined;
        }
        const bytes = encodingOf(name)[0](text);
        const start = boundedOffset('offset', at, 0, this.length);
        const room = Math.min(this.length - start, offsetOf(count, this.length - start));
        let fits = Math.min(bytes.length, room);
        // Half a character is not written.
        while (fits > 0 && fits < bytes.length && encodingOf(name) === encodings.utf8
            && (bytes[fits] & 0xc0) === 0x80) fits--;
        for (let i = 0; i < fits; i++) this[start + i] = bytes[i];
        return fits;
    }

    swap16() { return swapped(this, 2); }

    swap32() { return swapped(this, 4); }

    swap64() { return swapped(this, 8); }
}

function swapped(buffer, width) {
    if (buffer.length % width !== 0) {
        throw failure(NativeRangeError, `Buffer size must be a multiple of ${width * 8}-bits`);
    }
    for (let i = 0; i < buffer.length; i += width) buffer.subarray(i, i + width).reverse();
    return buffer;
}

function boundOf(buffer, offset, width) {
    const at = offsetOf(offset, 0);
    if (at < 0 || at + width > buffer.length) {
        throw failure(NativeRangeError, `index ${at} is outside the bound of the buffer`);
    }
    return at;
}

function widthOf(value) {
    const width = offsetOf(value, NaN);
    if (!(width >= 1)) throw failure(NativeTypeError, '"byteLength" must be > 0');
    if (width > 6) throw failure(NativeTypeError, '"byteLength" must be <= 6');
    return width;
}

function readBytes(buffer, at, width, signed, little) {
    let value = 0;
    for (let i = 0; i < width; i++) {
        value = value * 256 + buffer[little ? at + width - 1 - i : at + i];
    }
    return signed && value >= 2 ** (8 * width - 1) ? value - 2 ** (8 * width) : value;
}

function writeBytes(buffer, at, width, value, little) {
    let rest = Math.trunc(Number(value)) || 0;
    for (let i = 0; i < width; i++) {
        buffer[little ? at + i : at + width - 1 - i] = ((rest % 256) + 256) % 256;
        rest = Math.floor(rest / 256);
    }
    return at + width;
}

function addNumberMethods(proto) {
    for (const little of [true, false]) {
        const order = little ? 'LE' : 'BE';
        for (const signed of [true, false]) {
            const kind = signed ? 'Int' : 'UInt';
            for (const bits of [8, 16, 32]) {
                if (bits === 8 && !little) continue;
                const name = `${kind}${bits}${bits === 8 ? '' : order}`;
                const width = bits / 8;
                hidden(proto, `read${name}`, function read(offset) {
                    return readBytes(this, boundOf(this, offset, width), width, signed, little);
                });
                hidden(proto, `write${name}`, function write(value, offset) {
                    return writeBytes(this, boundOf(this, offset, width), width, value, little);
                });
            }
            hidden(proto, `read${kind}${order}`, function read(offset, byteLength) {
                const width = widthOf(byteLength);
                return readBytes(this, boundOf(this, offset, width), width, signed, little);
            });
            hidden(proto, `write${kind}${order}`, function write(value, offset, byteLength) {
                const width = widthOf(byteLength);
                return writeBytes(this, boundOf(this, offset, width), width, value, little);
            });
        }
        for (const [name, width, bits] of [['Float', 4, 32], ['Double', 8, 64]]) {
            hidden(proto, `read${name}${order}`, function read(offset) {
                const at = this.byteOffset + boundOf(this, offset, width);
                return new DataView(this.buffer, at)[`getFloat${bits}`](0, little);
            });
            hidden(proto, `write${name}${order}`, function write(value, offset) {
                const at = boundOf(this, offset, width);
                const view = new DataView(this.buffer, this.byteOffset + at);
                view[`setFloat${bits}`](0, value, little);
                return at + width;
            });
        }
    }
}
addNumberMethods(Buffer.prototype);
