import asyncio
import socket

import pytest

from posekit.errors import ConfigError

pytest.importorskip("nicegui", reason="the extra explore is not installed")

from posekit.lab.explorer.server import Guard, listen


def request(method="GET", kind="http", **headers):
    """Return the status and headers of the response, and whether the application behind the guard was reached."""
    messages = []
    reached = []

    async def app(scope, receive, send):
        reached.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})

    async def send(message):
        messages.append(message)

    headers = {"host": "127.0.0.1:80", **headers}
    scope = {"type": "websocket", "extensions": {"websocket.http.response": {}}}
    if kind == "http":
        scope = {"type": "http", "method": method}
    scope["headers"] = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(Guard(app, max_bytes=100)(scope, None, send))
    first = messages[0]
    return first.get("status"), dict(first.get("headers", [])), bool(reached)


def test_pages_may_not_load_from_other_sites_or_be_framed():
    status, headers, reached = request()
    policy = headers[b"content-security-policy"].decode()
    assert status == 200 and reached and headers[b"x-own"] == b"1"
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "http" not in policy.replace("'http", "")
    assert headers[b"referrer-policy"] == b"no-referrer"


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:81", "https://127.0.0.1:80"])
def test_other_sites_pages_are_refused(kind, origin):
    status, _, reached = request(kind=kind, origin=origin)
    assert status == 403 and not reached


def test_requests_of_our_own_page_are_served():
    assert request(origin="http://127.0.0.1:80")[2] and request(kind="websocket", origin="http://127.0.0.1:80")[2]


@pytest.mark.parametrize("length, status", [("100", 200), ("101", 413), ("-1", 411), ("", 411), ("1e9", 411)])
def test_large_uploads_are_refused(length, status):
    response, _, reached = request("POST", content_length=length)
    assert response == status and reached == (status == 200)


def test_an_upload_without_length_is_refused():
    assert request("POST", transfer_encoding="chunked")[::2] == (411, False)


def test_only_this_machine_reaches_the_socket():
    with listen(0) as listening:
        address, port = listening.getsockname()
        assert address == "127.0.0.1" and port > 0
        with socket.create_connection((address, port)):
            pass


def test_a_port_in_use_is_named():
    with listen(0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"^--port {port}: "):
            listen(port)
    with listen(port):  # free again
        pass
