"""Python's websockets (asyncio) against the server: messages, subprotocols, pings, close codes, limits."""

import asyncio
import sys

import websockets

ADDRESS = sys.argv[1]


def connect(path, **options):
    return websockets.connect(f"ws://{ADDRESS}{path}", max_size=None, **options)


async def messages():
    async with connect("/echo") as socket:
        for message in ["", "hello", "κόσμε 🦀", "x" * 70_000, b"", b"\x00\xff" * 40_000, b"y" * 4_000_000]:
            await socket.send(message)
            assert await socket.recv() == message
        # A message in fragments, of which the library makes one frame each.
        await socket.send(["one ", "two ", "three"])
        assert await socket.recv() == "one two three"
        await asyncio.wait_for(await socket.ping(b"are you there"), 10)
    assert socket.close_code == 1000, socket.close_code


async def many_at_once():
    async with connect("/echo") as socket:

        async def send():
            for number in range(2_000):
                await socket.send(f"message {number}")

        sending = asyncio.ensure_future(send())
        for number in range(2_000):
            assert await socket.recv() == f"message {number}"
        await sending


async def handshake():
    async with connect("/echo", subprotocols=["v1", "v2"]) as socket:
        assert socket.subprotocol == "v2", socket.subprotocol
    # Offered by the library, not taken by the server.
    async with connect("/echo", compression="deflate") as socket:
        assert socket.extensions == [], socket.extensions
    try:
        async with connect("/echo", origin="https://evil.example"):
            raise AssertionError("a page of another origin was let in")
    except websockets.InvalidStatusCode as refused:
        assert refused.status_code == 403, refused


async def close_codes():
    async with connect("/echo") as socket:
        await socket.send("close 4321")
        try:
            await socket.recv()
            raise AssertionError("it is still open")
        except websockets.ConnectionClosedError as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4321, "as you wish"), closed
    socket = await connect("/echo")
    await socket.close(4001, "mine")
    assert (socket.close_code, socket.close_reason) == (4001, "mine")
    async with connect("/small") as socket:
        await socket.send("x" * 1001)
        try:
            await socket.recv()
            raise AssertionError("it took too much")
        except websockets.ConnectionClosedError as closed:
            assert closed.rcvd.code == 1009, closed


async def main():
    for part in (messages, many_at_once, handshake, close_codes):
        await asyncio.wait_for(part(), 60)
    print("all went well")


asyncio.run(main())
