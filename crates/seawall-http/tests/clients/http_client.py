"""Python's http.client against a server: connections are kept, bodies arrive, early answers are seen.

    http_client.py HOST:PORT
"""

import http.client
import sys

LARGE = b"0123456789" * 100_000


def ask(connection, method, path, **more):
    connection.request(method, path, **more)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer


def main(address):
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    for _ in range(20):
        assert ask(connection, "GET", "/")[:2] == (200, b"hello")
        kept = connection.sock
        assert kept is not None, "the connection is kept"
    status, body, answer = ask(connection, "HEAD", "/")
    assert (status, body, answer.getheader("content-length")) == (200, b"", "5")
    assert ask(connection, "GET", "/empty")[:2] == (204, b"")
    status, body, answer = ask(connection, "GET", "/stream")
    assert status == 200 and body.count(b"\n") == 50 and answer.chunked
    assert ask(connection, "POST", "/echo", body=LARGE)[:2] == (200, LARGE)
    pieces = (LARGE[at : at + 7777] for at in range(0, len(LARGE), 7777))
    assert ask(connection, "POST", "/echo", body=pieces, encode_chunked=True)[:2] == (200, LARGE)
    assert ask(connection, "GET", "/none")[0] == 404
    assert connection.sock is kept, "all of it was one connection"
    status, body, answer = ask(connection, "GET", "/", headers={"connection": "close"})
    assert (status, body, answer.getheader("connection")) == (200, b"hello", "close")
    early = http.client.HTTPConnection(host, int(port), timeout=20)
    assert ask(early, "POST", "/early", body=LARGE)[:2] == (403, b"not for you")
    old = http.client.HTTPConnection(host, int(port), timeout=20)
    old._http_vsn, old._http_vsn_str = 10, "HTTP/1.0"
    status, body, answer = ask(old, "GET", "/stream")
    assert status == 200 and body.count(b"\n") == 50 and not answer.chunked


main(sys.argv[1])
print("all went well")
