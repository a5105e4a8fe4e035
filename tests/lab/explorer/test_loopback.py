import asyncio
import socket

import pytest

from posekit.errors import ConfigError

pytest.importorskip("starlette", reason="the extra explore is not installed")

from posekit.lab.explorer.loopback import Guard, listen


def ask(method="GET", kind="http", **headers):
    """Status, headers of the answer and whether the application behind the guard was reached."""
    sent, reached = [], []

    async def app(scope, receive, send):
        reached.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})

    async def send(message):
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": "127.0.0.1:80", **headers}.items()]
    scope = {"type": kind, "headers": named} | (
        {"method": method} if kind == "http" else {"extensions": {"websocket.http.response": {}}}
    )
    asyncio.run(Guard(app, largest=100)(scope, None, send))
    first = sent[0]
    return first.get("status"), dict(first.get("headers", [])), bool(reached)


def test_pages_may_load_nothing_from_elsewhere_and_be_framed_by_nobody():
    status, headers, reached = ask()
    policy = headers[b"content-security-policy"].decode()
    assert status == 200 and reached and headers[b"x-own"] == b"1"
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "http" not in policy.replace("'http", "")
    assert headers[b"referrer-policy"] == b"no-referrer"


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:81", "https://127.0.0.1:80"])
def test_other_sites_pages_are_refused(kind, origin):
    status, _, reached = ask(kind=kind, origin=origin)
    assert status == 403 and not reached


def test_our_own_page_is_not():
    assert ask(origin="http://127.0.0.1:80")[2] and ask(kind="websocket", origin="http://127.0.0.1:80")[2]


@pytest.mark.parametrize("length, status", [("100", 200), ("101", 413), ("-1", 411), ("", 411), ("1e9", 411)])
def test_large_uploads_are_refused(length, status):
    got, _, reached = ask("POST", content_length=length)
    assert got == status and reached == (status == 200)


def test_an_upload_of_unknown_length_is_refused():
    assert ask("POST", transfer_encoding="chunked")[::2] == (411, False)


def test_only_this_machine_reaches_the_socket():
    with listen(0) as listening:
        address, port = listening.getsockname()
        assert address == "127.0.0.1" and port > 0
        with socket.create_connection((address, port)):
            pass


def test_a_port_that_is_taken_is_named():
    with listen(0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"^--port {port}: cannot be had .*choose another"):
            listen(port)
    with listen(port):  # free again at once
        pass
