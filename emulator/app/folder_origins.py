"""Folders on disk in place of S3 buckets: `[origins.Site] folder = "dist"` in localpop.toml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from emulator.app.servers import Listener, bind, port_of
from emulator.clock import Clock
from emulator.network.origins import OriginAddress


async def _missing(request: Request, error: Exception) -> Response:
    """S3's own words for what is not there; a folder has neither pages nor redirects."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
        "<Message>The specified key does not exist.</Message></Error>"
    )
    return Response(body, status, media_type="application/xml")


def folder_app(folder: Path) -> Starlette:
    """An app that serves a folder's files as S3 serves objects: ETag, ranges, conditions."""
    files = StaticFiles(directory=folder, html=False)
    return Starlette(routes=[Mount("/", files)], exception_handlers={404: _missing, 405: _missing})


class FolderOrigins:
    """One listener on loopback for each folder.

    Args:
        folders: By origin id.
        clock: For the start.
    """

    def __init__(self, folders: Mapping[str, Path], clock: Clock) -> None:
        self._folders, self._clock = folders, clock
        self._listeners: list[Listener] = []
        self.addresses: dict[str, OriginAddress] = {}

    async def start(self) -> None:
        """Serve every folder.

        Raises:
            ConfigError: No port is to be had.
        """
        for name, folder in self._folders.items():
            socket = bind("127.0.0.1", 0, "viewer")
            listener = Listener(socket, folder_app(folder))
            await listener.start(self._clock)
            self._listeners.append(listener)
            self.addresses[name] = OriginAddress("127.0.0.1", port_of(socket))

    async def close(self) -> None:
        """Stop serving."""
        for listener in self._listeners:
            await listener.close()
