"""Serving the page, until somebody presses Ctrl-C."""

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

from posekit.lab.explorer.loopback import ADDRESS, NAMES, Guard
from posekit.lab.explorer.page import Page
from posekit.lab.explorer.scene import LARGEST_FILE, ExplorerState
from posekit.prediction.predictor import Predictor

# What a form needs beside the file it sends.
_FORM = 2**16
# Seconds that open pages are given when the server ends.
_GRACE = 2


def serve(predictor: Predictor, scene: ExplorerState | None, listening: socket, *, browser: bool) -> None:
    """Serve the page on a listening socket.

    Parameters
    ----------
    predictor : Predictor
    scene : ExplorerState, optional
        What the page shows first.
    listening : socket
        As of `posekit.lab.explorer.loopback.listen`; it is closed at the end.
    browser : bool
        Whether to open the page in a browser.
    """
    # Uploads stay in memory: up to this size the parser writes no temporary file.
    MultiPartParser.spool_max_size = LARGEST_FILE + _FORM

    @ui.page("/", title="Penalty explorer")
    async def explorer() -> None:
        await Page(predictor, scene).show()

    app = FastAPI(openapi_url=None)
    ui.run_with(app, dark=None, language="en-GB", tailwind=False, show_welcome_message=False)
    app.add_middleware(Guard, largest=LARGEST_FILE + _FORM)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=NAMES, www_redirect=False)
    address = f"http://{ADDRESS}:{listening.getsockname()[1]}/"
    print(f"penalty explorer: {address} (Ctrl-C ends it)", flush=True)
    if browser:
        threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
    config = uvicorn.Config(app, log_level="warning", ws="wsproto", timeout_graceful_shutdown=_GRACE)
    with listening, warnings.catch_warnings(), contextlib.suppress(KeyboardInterrupt):
        warnings.filterwarnings("ignore", category=FutureWarning, module="nicegui")  # it looks at every object, torch's included
        uvicorn.Server(config).run(sockets=[listening])
