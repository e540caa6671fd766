"""httpx, asynchronous, against a server: a pool of connections, streams in both directions.

    httpx_client.py HOST:PORT
"""

import asyncio
import sys

import httpx

LARGE = b"0123456789" * 100_000


async def pieces():
    for at in range(0, len(LARGE), 7777):
        yield LARGE[at : at + 7777]


async def main(address):
    limits = httpx.Limits(max_connections=8, max_keepalive_connections=8)
    async with httpx.AsyncClient(base_url=f"http://{address}", limits=limits, timeout=20) as client:
        answers = await asyncio.gather(*(client.get("/") for _ in range(100)))
        assert all(answer.status_code == 200 and answer.text == "hello" for answer in answers)
        assert (await client.head("/")).headers["content-length"] == "5"
        assert (await client.get("/empty")).status_code == 204
        assert (await client.post("/echo", content=LARGE)).content == LARGE
        assert (await client.post("/echo", content=pieces())).content == LARGE
        async with client.stream("GET", "/stream") as answer:
            lines = [line async for line in answer.aiter_lines()]
        assert len(lines) == 50, lines
        assert (await client.post("/early", content=b"abc")).text == "not for you"
        assert (await client.get("/agent")).text.startswith("python-httpx/")


asyncio.run(main(sys.argv[1]))
print("all went well")
