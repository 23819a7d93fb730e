// Date stands still for the whole invocation, and parses what njs parses: ISO 8601, RFC 2822 and
// its own toString(). Local time is UTC.

const NativeDate = Date;
let invocationMs = 0;

// Without a fraction njs knows no offset but Z.
const ISO_DATE = new RegExp('^[+-]?(\\d{4}(?:\\d{2})?)(?:-(\\d{2})(?:-(\\d{2})(?:T(\\d{2}):(\\d{2})'
    + '(?::(\\d{2})(?:\\.(\\d+)([+-]\\d{2}:?\\d{2})?)?)?Z?)?)?)?$');
const RFC_DATE = new RegExp('^(?:[^ ]+ +)?(\\d{2}) +([A-Z][a-z]{2}) +(\\d{4})'
    + '(?: +(?:(\\d{2}):(\\d{2})(?::(\\d{2}))?)?)?(?: +(?:GMT|UTC|([+-]\\d{4}))(?:.*)| *)$');
const JS_DATE = new RegExp('^(?:[^ ]+ +)?([A-Z][a-z]{2}) +(\\d{2}) +(\\d{4})'
    + '(?: +(?:(\\d{2}):(\\d{2})(?::(\\d{2}))?)?)?(?: +(?:GMT([+-]\\d{4}).*)?)?$');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function offsetMinutes(text) {
    if (text === undefined) return 0;
    const digits = text.replace(':', '');
    const minutes = Number(digits.slice(1, 3)) * 60 + Number(digits.slice(3, 5));
    return digits[0] === '-' ? -minutes : minutes;
}

function timeOf(year, month, day, hours, minutes, seconds, ms, offset) {
    const date = new NativeDate(0);
    date.setUTCFullYear(year, month, Number(day === undefined ? 1 : day));
    return date.setUTCHours(Number(hours || 0), Number(minutes || 0), Number(seconds || 0), ms)
        - offsetMinutes(offset) * 60000;
}

function namedTime(year, month, day, hours, minutes, seconds, offset) {
    const number = MONTHS.indexOf(month);
    return number < 0 ? NaN : timeOf(Number(year), number, day, hours, minutes, seconds, 0, offset);
}

function parseDate(text) {
    let m = ISO_DATE.exec(text);
    if (m !== null) {
        const ms = m[7] === undefined ? 0 : Math.trunc(Number(`0.${m[7]}`) * 1000 + 1e-6);
        const year = text[0] === '-' ? -Number(m[1]) : Number(m[1]);
        const month = m[2] === undefined ? 0 : Number(m[2]) - 1;
        return timeOf(year, month, m[3], m[4], m[5], m[6], ms, m[8]);
    }
    m = RFC_DATE.exec(text);
    if (m !== null) {
        return namedTime(m[3], m[2], m[1], m[4], m[5], m[6], m[7]);
    }
    m = JS_DATE.exec(text);
    if (m !== null) {
        return namedTime(m[3], m[1], m[2], m[4], m[5], m[6], m[7]);
    }
    return NaN;
}

const FrozenDate = function (...args) {
    if (new.target === undefined) return new NativeDate(invocationMs).toString();
    let given = args;
    if (args.length === 0) {
        given = [invocationMs];
    } else if (args.length === 1) {
        const value = args[0] instanceof NativeDate ? args[0].getTime() : args[0];
        const primitive = typeof value === 'object' && value !== null ? value.valueOf() : value;
        given = [typeof primitive === 'string' ? parseDate(primitive) : value];
    }
    return reflect.construct(NativeDate, given, new.target);
};
hidden(FrozenDate, 'name', 'Date');
defineProperty(FrozenDate, 'length', { value: 7, configurable: true });
defineProperty(FrozenDate, 'prototype', { value: NativeDate.prototype });
hidden(FrozenDate, 'now', function now() { return invocationMs; });
hidden(FrozenDate, 'parse', function parse(text) { return parseDate(String(text)); });
hidden(FrozenDate, 'UTC', NativeDate.UTC);
hidden(NativeDate.prototype, 'constructor', FrozenDate);
hidden(globalThis, 'Date', FrozenDate);

// Math.random is seeded for each invocation: a small generator (mulberry32).
let randomState = 0;
hidden(Math, 'random', function random() {
    randomState = (randomState + 0x6d2b79f5) | 0;
    let t = Math.imul(randomState ^ (randomState >>> 15), 1 | randomState);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
});
