// Returns the answer that was generated ahead of time for this user and action, from the key value
// store at the edge. Everything that is not a clear hit goes on to the origin, unchanged.
//
// CloudFront Function, runtime cloudfront-js-2.0, event type viewer-request, path /answers/*.
// It deploys exactly as it is (AWS::CloudFront::Function, FunctionCode = this file) and needs one
// associated key value store with
//   config/session-key     the key that session cookies are signed with (HS256)
//   {UserID}_{ActionID}    {"answer": text, "generated": epoch s, "expires": epoch s}
// Only what CloudFront's JavaScript engine has is used here: no for-of, destructuring, spread, default
// parameters or optional chaining, and no await within arguments.

import cf from 'cloudfront';
import crypto from 'crypto';

const SESSION_KEY = 'config/session-key';
const PATH = /^\/answers\/([a-z0-9-]{1,64})$/;
// 31 December 9999: the last day that an HTTP date can name.
const LAST_DATE = 253402300799;
const USER_ID = /^[A-Za-z0-9.-]{1,64}$/;

async function handler(event) {
    const request = event.request;
    try {
        const response = await lookUp(request);
        return response === null ? request : response;
    } catch (error) {
        // A missing key, a broken value, a store that cannot be read: the origin answers.
        return request;
    }
}

// The stored answer as a response, or null. Throws when anything on the way is missing.
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
    const user = userOf(session.value, key, now);
    if (user === null) {
        return null;
    }
    const stored = await store.get(`${user}_${action}`);
    const answer = JSON.parse(stored);
    if (typeof answer.answer !== 'string' || !Number.isInteger(answer.generated)
        || !Number.isInteger(answer.expires) || answer.expires <= now
        || answer.expires > LAST_DATE) {
        return null;
    }
    return respond(request, action, answer, now);
}

// The UserID of a session that is signed with the key and has not expired, or null.
function userOf(token, key, now) {
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
    return typeof claims.sub === 'string' && USER_ID.test(claims.sub) ? claims.sub : null;
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
    const accept = request.headers.accept;
    const wantsStream = Boolean(accept)
        && allValues(accept).toLowerCase().includes('text/event-stream');
    return {
        statusCode: 200,
        statusDescription: 'OK',
        headers: {
            'content-type': {
                value: wantsStream ? 'text/event-stream' : 'application/json; charset=utf-8'
            },
            'cache-control': { value: 'private, no-store' },
            'x-answer-source': { value: 'edge' },
            'x-answer-age': { value: String(Math.max(0, now - answer.generated)) },
            'x-answer-expires': { value: new Date(answer.expires * 1000).toUTCString() }
        },
        body: wantsStream
            ? `data: ${JSON.stringify({ text: answer.answer })}\n\n`
                + `event: done\ndata: ${JSON.stringify({ action: action })}\n\n`
            : JSON.stringify({ action: action, answer: answer.answer })
    };
}

// A header that came more than once has all its values in multiValue.
function allValues(header) {
    if (!header.multiValue) {
        return header.value;
    }
    return header.multiValue.map(item => item.value).join(', ');
}
