// One invocation. The factory makes a fresh scope from the function's code, so nothing that the code
// keeps in its own variables outlives the call.

let settled = null;

// A result or a failure as text; JSON.stringify of a cyclic object fails the function.
function finished(result) {
    const json = stringify(result);
    const extra = stringify(effects);
    return `{"result":${json === undefined ? 'null' : json},"effects":${extra}}`;
}

function failed(error) {
    const isError = error instanceof NativeError;
    return stringify({
        error: {
            // Only a failed allocation throws null by itself.
            memory: error === null,
            text: textOf(error),
            stack: isError && typeof error.stack === 'string' ? error.stack : '',
        },
        effects,
    });
}

function settle(make, value) {
    try {
        settled = make(value);
    } catch (error) {
        settled = failed(error);
    }
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
    effects = {};
    settled = null;
    invocationMs = nowMs;
    randomState = seed | 0;
    try {
        const event = eventOf(eventJson, rawQueryString);
        context = {
            eventType: event.context && event.context.eventType,
            edgeLocation: NativeJSONParse(edgeLocation),
        };
        const handler = factory(cloudfrontModule, modules.crypto, modules.querystring, modules.buffer);
        if (typeof handler !== 'function') {
            throw failure(ReferenceError, '"handler" is not defined');
        }
        const result = handler(event);
        if (result instanceof Promise) {
            then.call(result, (value) => settle(finished, value), (error) => settle(failed, error));
            return '';
        }
        return finished(result);
    } catch (error) {
        return failed(error);
    }
}

function outcome() {
    return settled;
}

const then = Promise.prototype.then;
addGlobals();
narrowRegExp();
blockFunctionConstructors();
prune();
return { invoke, outcome };
