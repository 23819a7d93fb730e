"""A target that answers as the contract says: hits, misses, streams, errors, and one freeze.

`python tests/loadtests/target_app.py` prints its port and serves until it is told to end.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

PRECOMPUTED = {"morning-briefing", "deployment-summary", "ticket-digest"}

FREEZE_AT_REQUEST = int(os.environ.get("TARGET_FREEZE_AT_REQUEST", "0"))
FREEZE_S = float(os.environ.get("TARGET_FREEZE_S", "1.5"))
FALLBACK_S = float(os.environ.get("TARGET_FALLBACK_S", "0.05"))
BREAK_STREAMS = os.environ.get("TARGET_BREAK_STREAMS") == "1"

seen = 0


def headers(request: Request, x_cache: str, simulated_ms: float) -> dict[str, str]:
    """What the emulator puts on each response."""
    place = request.headers["x-localpop-viewer"]
    trace = (
        f"t-{seen}; place={place}; simulated_ms={simulated_ms:.2f}; overhead_ms=0.25; "
        "late_ms=0.00; "
        f"parts=viewer:{simulated_ms - 0.5:.2f},function:0.50"
    )
    return {
        "X-Cache": f"{x_cache} from cloudfront",
        "X-Localpop-Trace": trace,
        "Cache-Control": "private, no-store",
    }


async def answer(request: Request) -> Response:
    """Answer from "the edge" or, slowly, from "the origin"."""
    global seen
    seen += 1
    if seen == FREEZE_AT_REQUEST:
        time.sleep(FREEZE_S)  # noqa: ASYNC251  (a frozen server is one that serves nobody)
    action = request.path_params["action"]
    if not request.cookies.get("session", "").startswith("token-"):
        return JSONResponse({}, 401, headers=headers(request, "Error", 1))
    if action in PRECOMPUTED:
        by_lambda = request.url.path.startswith("/lambda-answers/")
        kind = "LambdaGeneratedResponse" if by_lambda else "FunctionGeneratedResponse"
        return JSONResponse(
            {"action": action, "answer": "Good."}, headers=headers(request, kind, 2)
        )
    if "text/event-stream" in request.headers["accept"]:
        stream = events(action)
        miss = headers(request, "Miss", FALLBACK_S * 1000)
        return StreamingResponse(stream, media_type="text/event-stream", headers=miss)
    await asyncio.sleep(FALLBACK_S)  # noqa: TID251  (this server is real, and so is its slowness)
    return JSONResponse({"action": action}, headers=headers(request, "Miss", FALLBACK_S * 1000))


async def count(request: Request) -> Response:
    """How many questions there have been."""
    return JSONResponse(seen)


async def events(action: str) -> AsyncIterator[str]:
    """A stream of two pieces and its end; or one that breaks off."""
    yield 'data: {"text":"Go"}\n\n'
    await asyncio.sleep(FALLBACK_S)  # noqa: TID251  (as above)
    yield 'data: {"text":"od."}\n\n'
    if BREAK_STREAMS:
        return
    yield f'event: done\ndata: {{"action":"{action}"}}\n\n'


def main() -> None:
    """Serve on a free port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    routes = [
        Route("/answers/{action}", answer),
        Route("/lambda-answers/{action}", answer),
        Route("/seen", count),
    ]
    config = uvicorn.Config(Starlette(routes=routes), log_level="error")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
