"""What runs inside a sandbox's process: plain files, started by path, importing nothing of ours.

`fork_server.py` stands ready with the runtime's own modules imported and makes copies of itself;
`python_runtime.py` and `node_runtime.js` are what Lambda's own runtime clients are at AWS: they
load the handler, then take one event after the other. Both speak the same frames:

    to the sandbox      4 bytes length, 4 bytes number; then JSON: at first its configuration,
                        then one {"id", "timeout_ms", "trace", "event"} for each invocation
    from the sandbox    1 byte kind, 4 bytes length, 4 bytes number as it was received, 8 bytes
                        double: the handler's milliseconds, 4 bytes: the most memory used in KB;
                        then the payload

    kinds   I ready (payload empty)          E failed: JSON {"errorType", "errorMessage", "trace"}
            R returned JSON                  X the same, and the process ends
            B returned bytes, as they are
"""
