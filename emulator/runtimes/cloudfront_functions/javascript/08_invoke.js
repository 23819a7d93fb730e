// One invocation. The factory makes a fresh scope from the function's code, so nothing that the
// code keeps in its own variables outlives the call.

let settled = null;

// A result or a failure as text; JSON.stringify of a cyclic object fails the function.
function finished(result) {
    const json = stringify(result);
    const extra = effects === null ? '{}' : stringify(effects);
    return `{"result":${json === undefined ? 'null' : json},"effects":${extra}}`;
}

function failed(error) {
    const isError = error instanceof NativeError;
    return stringify({
        error: {
            // Without memory for an error the engine throws null.
            memory: error === null
                || (error instanceof NativeInternalError && error.message === 'out of memory'),
            text: textOf(error),
            stack: isError && typeof error.stack === 'string' ? error.stack : '',
        },
        effects: effects === null ? {} : effects,
    });
}

function settle(make, value) {
    try {
        settled = make(value);
    } catch (error) {
        settled = failed(error);
    }
}

// njs fails an invocation for a promise that was rejected and that nobody looked at. The engine
// does not tell of those; but nobody can look at a call whose result is thrown away.
let watching = false;
let unhandled = null;

function watch(value) {
    if (value instanceof Promise) {
        watching = true;
        then.call(value, undefined, (error) => { unhandled = unhandled || { error }; });
    }
    return value;
}

function eventOf(json, rawQueryString) {
    const event = NativeJSONParse(json);
    if (!RUNTIME_1 && event.request) {
        hidden(event.request, 'rawQueryString', function () {
            return rawQueryString === null ? undefined : rawQueryString;
        });
    }
    return event;
}

// Returns the outcome, or '' while a promise is pending.
function invoke(factory, eventJson, rawQueryString, edgeLocation, nowMs, seed) {
    effects = null;
    settled = null;
    watching = false;
    unhandled = null;
    invocationMs = nowMs;
    randomState = seed | 0;
    try {
        const event = eventOf(eventJson, rawQueryString);
        eventType = event.context && event.context.eventType;
        edgeLocationText = edgeLocation;
        const handler = factory(cloudfrontModule, modules.crypto, modules.querystring,
            modules.buffer, watch);
        if (typeof handler !== 'function') {
            throw failure(ReferenceError, '"handler" is not defined');
        }
        const result = handler(event);
        if (result instanceof Promise) {
            then.call(result, (value) => settle(finished, value), (error) => settle(failed, error));
            return '';
        }
        settled = finished(result);
        return watching ? '' : settled;
    } catch (error) {
        return failed(error);
    }
}

function outcome() {
    if (unhandled === null) return settled;
    const reason = textOf(unhandled.error);
    return failed(failure(NativeError, `unhandled promise rejection: ${reason}`));
}

const then = Promise.prototype.then;
addGlobals();
narrowRegExp();
blockFunctionConstructors();
prune();
return { invoke, outcome };
