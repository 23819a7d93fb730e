// Gives an answer whose body came from S3 the headers of every other answer.
//
// CloudFront Function, runtime cloudfront-js-2.0, event type viewer-response, path /answers/*: the
// other half of answer_lookup, which sends requests for long answers to the bucket. The object's
// metadata says when the answer was generated and when it expires (origin/functions/answer-writer).
// Every other response, the origin's above all, leaves as it came.

// What S3 says about a file, and an answer does not.
const OF_FILES = ['etag', 'last-modified', 'accept-ranges', 'expires', 'age'];

function handler(event) {
    const response = event.response;
    const headers = response.headers;
    const generated = metadata(headers, 'generated');
    const expires = metadata(headers, 'expires');
    if (!(generated > 0) || !(expires > 0)) {
        return response;
    }
    const version = headers['x-amz-meta-version'];
    const now = Math.floor(Date.now() / 1000);
    Object.keys(headers).forEach(name => {
        if (name.startsWith('x-amz-') || OF_FILES.includes(name)) {
            delete headers[name];
        }
    });
    headers['cache-control'] = { value: 'private, no-store' };
    headers['x-answer-source'] = { value: 'edge' };
    headers['x-answer-age'] = { value: String(Math.max(0, now - generated)) };
    headers['x-answer-expires'] = { value: new Date(expires * 1000).toUTCString() };
    if (version) {
        headers['x-answer-version'] = { value: version.value };
    }
    return response;
}

// A number that the writer gave the object, or NaN.
function metadata(headers, name) {
    const header = headers[`x-amz-meta-${name}`];
    return header ? Number(header.value) : NaN;
}
