// Returns the answer that was generated ahead of time for this user and action, from the key value
// store at the edge. Everything that is not a clear hit goes on to the origin, unchanged.
//
// CloudFront Function, runtime cloudfront-js-2.0, event type viewer-request, path /answers/*.
// It deploys exactly as it is (AWS::CloudFront::Function, FunctionCode = this file) and needs one
// associated key value store with
//   config/session-key     the key that session cookies are signed with (HS256)
//   {UserID}_{ActionID}    an answer; its members stand in origin/precompute/artifact.py
//   version/{scope}        the current version tag of what answers of that scope were made from
// and a distribution with the origins AnswerBodies (S3: answers too long for the store) and Api.
// The function answer_headers belongs to the same behavior's viewer-response.
// Only what CloudFront's JavaScript engine has is used here: no for-of, destructuring, spread, default
// parameters or optional chaining, and no await within arguments.

import cf from 'cloudfront';
import crypto from 'crypto';

const SESSION_KEY = 'config/session-key';
const PATH = /^\/answers\/([a-z0-9-]{1,64})$/;
// 31 December 9999: the last day that an HTTP date can name.
const LAST_DATE = 253402300799;
const USER_ID = /^[A-Za-z0-9.-]{1,64}$/;
const BODY = /^\/answer-bodies\/[A-Za-z0-9_-]{32}$/;
const SCOPE = /^[a-z0-9-]{1,64}$/;
const VERSION = /^[A-Za-z0-9._:+-]{1,64}$/;
// Below this confidence an answer without a floor of its own is stale.
const CONFIDENCE_FLOOR = 0.5;

async function handler(event) {
    const request = event.request;
    try {
        const answered = await lookUp(request);
        return answered === null ? request : answered;
    } catch (error) {
        // A missing key, a broken value, a store that cannot be read: the origin answers.
        return request;
    }
}

// The stored answer as a response, or the request for its body, or null. Throws when anything on
// the way is missing.
async function lookUp(request) {
    const path = PATH.exec(request.uri);
    if (path === null || (request.method !== 'GET' && request.method !== 'HEAD')) {
        return null;
    }
    const action = path[1];
    const session = request.cookies.session;
    if (!session) {
        return null;
    }
    const now = Math.floor(Date.now() / 1000);
    const store = cf.kvs();
    const key = await store.get(SESSION_KEY);
    // The user comes from the signed session alone, never from what a stranger can write.
    const claims = claimsOf(session.value, key, now);
    if (claims === null) {
        return null;
    }
    const stored = await store.get(`${claims.sub}_${action}`);
    const answer = JSON.parse(stored);
    if (!isWhole(answer)) {
        return null;
    }
    const stale = await staleness(store, answer, claims, now);
    if (stale !== null) {
        return answer.fallback === 'none' ? noAnswer(action, stale) : null;
    }
    return answer.body === undefined
        ? respond(request, action, answer, now)
        : toBody(request, action, answer.body);
}

// Whether all that a hit needs is there, and nothing that is there is broken.
function isWhole(answer) {
    return Number.isInteger(answer.generated) && Number.isInteger(answer.expires)
        && answer.expires <= LAST_DATE
        && (answer.body === undefined
            ? typeof answer.answer === 'string'
            : typeof answer.body === 'string' && BODY.test(answer.body))
        && (answer.version === undefined || isText(answer.version, VERSION))
        && (answer.scope === undefined || isText(answer.scope, SCOPE))
        && (answer.floor === undefined || Number.isFinite(answer.floor))
        && (answer.confidence === undefined
            || (Number.isFinite(answer.confidence) && Number.isInteger(answer.half_life)
                && answer.half_life > 0));
}

function isText(value, pattern) {
    return typeof value === 'string' && pattern.test(value);
}

// Why an answer may not be served any more, or null.
async function staleness(store, answer, claims, now) {
    if (answer.expires <= now) {
        return 'expired';
    }
    if (answer.confidence !== undefined) {
        const age = Math.max(0, now - answer.generated);
        const left = answer.confidence * Math.pow(0.5, age / answer.half_life);
        if (left < (answer.floor === undefined ? CONFIDENCE_FLOOR : answer.floor)) {
            return 'degraded';
        }
    }
    if (answer.scope !== undefined) {
        const current = answer.scope === 'session'
            ? String(claims.iat)
            : await currentVersion(store, answer.scope);
        if (current !== null && current !== answer.version) {
            return 'lagging';
        }
    }
    return null;
}

// A scope's version tag, or null: as long as nothing has changed there is none.
async function currentVersion(store, scope) {
    try {
        const version = await store.get(`version/${scope}`);
        return version;
    } catch (error) {
        return null;
    }
}

// Asks for the body in S3 instead; if it is not to be had, the origin answers at the same path.
function toBody(request, action, body) {
    request.uri = `${body}/${wantsStream(request) ? 'sse' : 'json'}/${action}`;
    request.querystring = {};
    // The body is one answer and not a file: no parts of it, and no 304.
    delete request.headers.range;
    delete request.headers['if-range'];
    delete request.headers['if-match'];
    delete request.headers['if-none-match'];
    delete request.headers['if-modified-since'];
    delete request.headers['if-unmodified-since'];
    cf.createRequestOriginGroup({
        originIds: [{ originId: 'AnswerBodies' }, { originId: 'Api' }],
        failoverCriteria: { statusCodes: [403, 404, 500, 502, 503, 504] }
    });
    return request;
}

// What the contract asks for where an old answer would be worse than none.
function noAnswer(action, stale) {
    return {
        statusCode: 404,
        statusDescription: 'Not Found',
        headers: {
            'content-type': { value: 'application/json; charset=utf-8' },
            'cache-control': { value: 'private, no-store' },
            'x-answer-source': { value: 'none' },
            'x-answer-stale': { value: stale }
        },
        body: JSON.stringify({ action: action, answer: null })
    };
}

// The claims of a session that is signed with the key and has not expired, or null.
function claimsOf(token, key, now) {
    const parts = token.split('.');
    if (parts.length !== 3 || !key) {
        return null;
    }
    const header = decode(parts[0]);
    if (header.alg !== 'HS256' || header.crit !== undefined) {
        return null;
    }
    const signature = crypto
        .createHmac('sha256', key)
        .update(`${parts[0]}.${parts[1]}`)
        .digest('base64url');
    if (!equal(parts[2], signature)) {
        return null;
    }
    const claims = decode(parts[1]);
    if (typeof claims.exp !== 'number' || claims.exp <= now) {
        return null;
    }
    return typeof claims.sub === 'string' && USER_ID.test(claims.sub) ? claims : null;
}

function decode(part) {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
}

// Takes the same time wherever two texts of one length differ.
function equal(a, b) {
    if (a.length !== b.length) {
        return false;
    }
    let difference = 0;
    for (let i = 0; i < a.length; i++) {
        difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
    }
    return difference === 0;
}

function respond(request, action, answer, now) {
    const asStream = wantsStream(request);
    const headers = {
        'content-type': {
            value: asStream ? 'text/event-stream' : 'application/json; charset=utf-8'
        },
        'cache-control': { value: 'private, no-store' },
        'x-answer-source': { value: 'edge' },
        'x-answer-age': { value: String(Math.max(0, now - answer.generated)) },
        'x-answer-expires': { value: new Date(answer.expires * 1000).toUTCString() }
    };
    if (answer.version !== undefined) {
        headers['x-answer-version'] = { value: answer.version };
    }
    return {
        statusCode: 200,
        statusDescription: 'OK',
        headers: headers,
        body: asStream
            ? `data: ${JSON.stringify({ text: answer.answer })}\n\n`
                + `event: done\ndata: ${JSON.stringify({ action: action })}\n\n`
            : JSON.stringify({ action: action, answer: answer.answer })
    };
}

function wantsStream(request) {
    const accept = request.headers.accept;
    return Boolean(accept) && allValues(accept).toLowerCase().includes('text/event-stream');
}

// A header that came more than once has all its values in multiValue.
function allValues(header) {
    if (!header.multiValue) {
        return header.value;
    }
    return header.multiValue.map(item => item.value).join(', ');
}
