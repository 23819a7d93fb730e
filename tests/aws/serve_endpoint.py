"""The AWS endpoint as a program: `serve_endpoint.py FILE STORE` prints its port when ready."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import uvicorn

from emulator.aws.app import create_app
from emulator.aws.bedrock_runtime import BedrockRuntime
from emulator.clock.real import RealClock
from emulator.stores.key_value_stores import KeyValueStores
from tests.aws.ready_server import ReadyServer, listening_socket


async def _serve(path: Path, store: str) -> None:
    clock = RealClock()
    stores = await KeyValueStores.open(path, clock)
    arn = (await stores.ensure(store)).arn
    app = create_app(stores, BedrockRuntime(clock, time_scale=0.0), clock)
    with listening_socket() as listener:
        state = {"port": listener.getsockname()[1], "arn": arn}
        server = ReadyServer(
            uvicorn.Config(app, log_level="warning"), lambda: print(json.dumps(state), flush=True)
        )
        await server.serve(sockets=[listener])
    await stores.close()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2]))
