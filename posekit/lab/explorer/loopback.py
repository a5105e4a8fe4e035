"""Serving this machine alone: the socket, and a guard before the pages."""

import os
import socket

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from posekit.errors import ConfigError

ADDRESS = "127.0.0.1"
# Names by which a browser on this machine may call it. A foreign name that leads here is an attack (DNS rebinding).
NAMES = (ADDRESS, "localhost")

# The page's scripts are compiled in the browser, hence unsafe-eval; nothing may come from, or go, elsewhere.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        f"connect-src 'self' {' '.join(f'ws://{name}:*' for name in NAMES)}",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def listen(port: int) -> socket.socket:
    """A listening socket that only this machine reaches.

    Parameters
    ----------
    port : int
        0 for any that is free.

    Raises
    ------
    ConfigError
        If the port cannot be had.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would let two programs share a port; here it only lets one start again at once
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((ADDRESS, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise ConfigError(f"--port {port}: cannot be had ({error.strerror}); choose another, or leave --port out") from None
    return listening


class Guard:
    """ASGI middleware that refuses what comes from other sites' pages, and large uploads, and tells browsers to load nothing else.

    Whether the name by which the server is called is one of `NAMES` is left to starlette's ``TrustedHostMiddleware``.

    Parameters
    ----------
    app : ASGI application
    largest : int
        Bytes that a request may bring.
    """

    def __init__(self, app: ASGIApp, largest: int):
        self.app, self.largest = app, largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope["type"], scope.get("method"), Headers(scope=scope))
        await (refusal or self.app)(scope, receive, _with_headers(send))

    def _refusal(self, kind: str, method: str | None, headers: Headers) -> PlainTextResponse | None:
        if headers.get("origin", f"http://{headers.get('host')}") != f"http://{headers.get('host')}":
            return PlainTextResponse("the request comes from another site's page", status_code=403)
        if kind == "websocket" or method in ("GET", "HEAD", "OPTIONS"):
            return None
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return PlainTextResponse("the request does not tell its length", status_code=411)
        too_large = int(length) > self.largest
        return PlainTextResponse(f"more than {self.largest} bytes", status_code=413) if too_large else None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return sending
