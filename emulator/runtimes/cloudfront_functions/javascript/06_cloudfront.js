// import cf from 'cloudfront' (runtime 2.0). What a helper learns of the invocation comes from the
// host; what it decides (an origin, custom log data) is kept in `effects` and leaves with the
// result.

let effects = null;
let eventType = '';
let edgeLocationText = '{}';

function effect(name, value) {
    effects = effects || {};
    effects[name] = value;
}

function rejectedKey(message) {
    return failure(NativeError, message);
}

class KeyValueStoreHandle {
    async get(key, options) {
        if (typeof key !== 'string') throw failure(NativeTypeError, 'key must be a string');
        const format = options === undefined || options === null ? 'string' : options.format;
        const value = host.get(key);
        if (value === null) throw rejectedKey('KeyNotFound');
        if (format === undefined || format === 'string') return value;
        if (format === 'json') return JSON.parse(value);
        if (format === 'bytes') return Buffer.from(value);
        throw failure(NativeTypeError, `unsupported format: "${textOf(format)}"`);
    }

    async exists(key) {
        if (typeof key !== 'string') throw failure(NativeTypeError, 'key must be a string');
        return host.get(key) !== null;
    }

    async meta() { return JSON.parse(host.meta()); }

    async count() { return JSON.parse(host.meta()).keyCount; }
}

function kvs(id) {
    const known = host.store();
    if (known === '') {
        throw failure(NativeError, 'no key value store is associated with the function');
    }
    if (id !== undefined && id !== known) {
        throw failure(NativeError,
            `key value store "${textOf(id)}" is not associated with the function`);
    }
    return new KeyValueStoreHandle();
}

// TextEncoder's view of encodeURIComponent, as the access log writes it, cut at 800 bytes.
function logCustomData(data) {
    effect('customLogData', percentEncoded(textOf(data)).slice(0, 800));
}

const unavailable = () => failure(NativeTypeError, 'distributionTenant module is not available');
const distributionTenant = {};
for (const name of ['id', 'parameters']) {
    defineProperty(distributionTenant, name, { get() { throw unavailable(); }, enumerable: true });
}

function originChange(kind) {
    return function change(...args) {
        if (eventType !== 'viewer-request') {
            throw failure(NativeError, `cf.${kind} is available in viewer-request functions only`);
        }
        // What the function does with its arguments later does not count.
        effect('origin', { kind, args: NativeJSONParse(stringify(args)) });
    };
}

function notEmulated(name) {
    return function missing() {
        effect('notEmulated', name);
        throw failure(NativeError, `${name} is not emulated by localpop`);
    };
}

const NativeJSONParse = JSON.parse;

const cloudfrontModule = {
    kvs,
    get edgeLocation() { return NativeJSONParse(edgeLocationText); },
    logCustomData,
    updateRequestOrigin: originChange('updateRequestOrigin'),
    selectRequestOriginById: originChange('selectRequestOriginById'),
    createRequestOriginGroup: originChange('createRequestOriginGroup'),
    distributionTenant,
    cwt: {
        validateToken: notEmulated('cf.cwt.validateToken'),
        generateToken: notEmulated('cf.cwt.generateToken'),
    },
};
Object.freeze(cloudfrontModule.cwt);
Object.freeze(cloudfrontModule);
