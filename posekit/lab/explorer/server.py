"""Web server of the page."""

import contextlib
import threading
import warnings
import webbrowser
from socket import socket

import uvicorn
from fastapi import FastAPI
from nicegui import ui
from starlette.formparsers import MultiPartParser
from starlette.middleware.trustedhost import TrustedHostMiddleware

from posekit.lab.explorer.loopback import ADDRESS, HOST_NAMES, Guard
from posekit.lab.explorer.page import Page
from posekit.lab.explorer.state import MAX_FILE_BYTES, ExplorerState
from posekit.prediction.predictor import Predictor

_MAX_REQUEST_BYTES = MAX_FILE_BYTES + 2**16  # the uploaded file and the rest of the form data
_SHUTDOWN_SECONDS = 2  # time for connections of open pages to close


def serve(predictor: Predictor, state: ExplorerState | None, listening: socket, *, browser: bool) -> None:
    """Serve the page on a listening socket, until Ctrl-C.

    Parameters
    ----------
    predictor : Predictor
    state : ExplorerState, optional
        Initial state of each tab; by default, the page waits for an image upload.
    listening : socket
        Created by `posekit.lab.explorer.loopback.listen`; closed on return.
    browser : bool
        Whether to open the page in a browser.
    """
    # Keep uploads in memory: the parser writes a temporary file only above this size.
    MultiPartParser.spool_max_size = _MAX_REQUEST_BYTES

    @ui.page("/", title="Penalty explorer")
    async def explorer() -> None:
        await Page(predictor, state).show()

    app = FastAPI(openapi_url=None)
    ui.run_with(app, dark=None, language="en-GB", tailwind=False, show_welcome_message=False)
    app.add_middleware(Guard, max_bytes=_MAX_REQUEST_BYTES)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOST_NAMES, www_redirect=False)
    address = f"http://{ADDRESS}:{listening.getsockname()[1]}/"
    print(f"penalty explorer: {address} (stop with Ctrl-C)", flush=True)
    if browser:
        threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
    config = uvicorn.Config(app, log_level="warning", ws="wsproto", timeout_graceful_shutdown=_SHUTDOWN_SECONDS)
    with listening, warnings.catch_warnings(), contextlib.suppress(KeyboardInterrupt):
        warnings.filterwarnings(
            "ignore", category=FutureWarning, module="nicegui"
        )  # NiceGUI inspects every object, including deprecated ones of torch
        uvicorn.Server(config).run(sockets=[listening])
