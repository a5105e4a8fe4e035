"""Web server of the page, which only this machine can reach: socket, checks of requests, security headers."""

import contextlib
import os
import socket
import threading
import warnings
import webbrowser

import uvicorn
from fastapi import FastAPI
from nicegui import ui
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from posekit.errors import ConfigError
from posekit.lab.explorer.page import Page
from posekit.lab.explorer.state import MAX_FILE_BYTES, ExplorerState
from posekit.prediction.predictor import Predictor

_ADDRESS = "127.0.0.1"
# Host names allowed in requests. A request under any other host name is a DNS rebinding attack.
_HOST_NAMES = (_ADDRESS, "localhost")

# Nothing may be loaded from or sent to other sites. unsafe-eval: the browser compiles the page's Vue templates.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        f"connect-src 'self' {' '.join(f'ws://{name}:*' for name in _HOST_NAMES)}",
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
_MAX_REQUEST_BYTES = MAX_FILE_BYTES + 2**16  # the uploaded file and the rest of the form data
_SHUTDOWN_SECONDS = 2  # time for connections of open pages to close


def listen(port: int) -> socket.socket:
    """Return a listening socket that only this machine can reach; port 0 is any free port."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # lets the server restart at once; not on Windows, where two programs could then share the port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_ADDRESS, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise ConfigError(f"--port {port}: not available ({error.strerror}); choose another port, or omit --port") from None
    return listening


class Guard:
    """ASGI middleware that rejects large uploads and requests from other sites, and sets security headers.

    `max_bytes` is the size of the largest allowed request body. Host names are not checked here, but by Starlette's
    ``TrustedHostMiddleware``, which must be added too.
    """

    def __init__(self, app: ASGIApp, max_bytes: int):
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        refusal = self._refusal(scope["type"], scope.get("method"), Headers(scope=scope))
        await (refusal or self.app)(scope, receive, send_with_headers)

    def _refusal(self, scope_type: str, method: str | None, headers: Headers) -> PlainTextResponse | None:
        own_origin = f"http://{headers.get('host')}"
        if headers.get("origin", own_origin) != own_origin:
            return PlainTextResponse("requests from other sites are not allowed", status_code=403)
        if scope_type == "websocket" or method in ("GET", "HEAD", "OPTIONS"):
            return None
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return PlainTextResponse("the request has no Content-Length", status_code=411)
        if int(length) > self.max_bytes:
            return PlainTextResponse(f"the request is larger than {self.max_bytes} bytes", status_code=413)
        return None


def serve(predictor: Predictor, state: ExplorerState | None, listening: socket.socket, *, browser: bool) -> None:
    """Serve the page until Ctrl-C on a socket created by `listen`, which is closed on return.

    `state` is the initial state of each tab; without a state, the page waits for an image upload.
    """
    # Keep uploads in memory: the parser writes a temporary file only above this size.
    MultiPartParser.spool_max_size = _MAX_REQUEST_BYTES

    @ui.page("/", title="Penalty explorer")
    async def explorer() -> None:
        await Page(predictor, state).show()

    app = FastAPI(openapi_url=None)
    ui.run_with(app, dark=None, language="en-GB", tailwind=False, show_welcome_message=False)
    app.add_middleware(Guard, max_bytes=_MAX_REQUEST_BYTES)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_HOST_NAMES, www_redirect=False)
    address = f"http://{_ADDRESS}:{listening.getsockname()[1]}/"
    print(f"penalty explorer: {address} (stop with Ctrl-C)", flush=True)
    if browser:
        threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
    config = uvicorn.Config(app, log_level="warning", ws="wsproto", timeout_graceful_shutdown=_SHUTDOWN_SECONDS)
    with listening, warnings.catch_warnings(), contextlib.suppress(KeyboardInterrupt):
        # NiceGUI inspects every object, including deprecated ones of torch.
        warnings.filterwarnings("ignore", category=FutureWarning, module="nicegui")
        uvicorn.Server(config).run(sockets=[listening])
