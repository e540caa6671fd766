"""Runs the cases of Autobahn's WebSocket test suite against a server, under Python 3.

The suite on PyPI (autobahntestsuite) is code for Python 2 and a networking library of its time, and will not be
ported. Its cases themselves are small: each sends frames and says what must come back. This file is a client to run
them with: it gives each case the few methods that it calls, and reads the old code as what it means today.

    conformance.py FOLDER-OF-THE-PACKAGE HOST PORT

One JSON object a line: {"id", "behavior", "close", "result"}. Sections 12 and 13 are about compression, which the
server under test does not offer, so they are left out.
"""

import ast
import asyncio
import binascii
import builtins
import codecs
import importlib.abc
import importlib.util
import json
import os
import pathlib
import re
import struct
import sys
import types

# In Python 2 text and bytes are one type. Here all of it is text whose characters are bytes.
BYTES = "latin-1"
AT_ONCE = 32


class Protocol:
    """The names that cases import from the suite's own protocol."""

    STATE_CLOSED, STATE_CONNECTING, STATE_CLOSING, STATE_OPEN = range(4)
    MESSAGE_TYPE_TEXT, MESSAGE_TYPE_BINARY = 1, 2
    CLOSE_STATUS_CODE_NORMAL = 1000
    CLOSE_STATUS_CODE_PROTOCOL_ERROR = 1002
    CLOSE_STATUS_CODE_INVALID_PAYLOAD = 1007


class Utf8Validator:
    """(valid so far, ends with a whole character)"""

    def reset(self):
        pass

    def validate(self, text):
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            decoder.decode(text.encode(BYTES))
        except UnicodeDecodeError:
            return (False, False, 0, 0)
        return (True, not decoder.getstate()[0], 0, 0)


class OldPython(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads the cases' modules, which find each other by bare names."""

    def __init__(self, folder):
        self.folder = folder

    def find_spec(self, name, path, target=None):
        if (self.folder / f"{name}.py").exists():
            return importlib.util.spec_from_loader(name, self)
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        source = (self.folder / f"{module.__name__}.py").read_text(BYTES)
        source = re.sub(r"^(\s*)print (.*)$", r"\1print(\2)", source, flags=re.MULTILINE)
        tree = WholeDivision().visit(ast.parse(source))
        module.__dict__.update(xrange=range, type=make_class)
        exec(compile(tree, module.__name__, "exec"), module.__dict__)


class WholeDivision(ast.NodeTransformer):
    """Between whole numbers `/` was `//`."""

    def visit_Div(self, node):
        return ast.FloorDiv()


def make_class(*arguments):
    """A class could name `object` before its other bases."""
    if len(arguments) == 3:
        name, bases, members = arguments
        arguments = (name, tuple(base for base in bases if base is not object), members)
    return builtins.type(*arguments)


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode(BYTES)


def load(package):
    """All cases, by their numbers."""
    folder = package / "autobahntestsuite" / "case"
    old_binascii = types.ModuleType("binascii")
    old_binascii.b2a_hex = lambda text: binascii.b2a_hex(as_bytes(text)).decode()
    stubs = {
        "autobahn": {},
        "autobahn.websocket": {},
        "autobahn.websocket.protocol": {"WebSocketProtocol": Protocol},
        "autobahn.websocket.utf8validator": {"Utf8Validator": Utf8Validator},
    }
    for name, members in stubs.items():
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(members)
    sys.modules["binascii"] = old_binascii
    sys.meta_path.insert(0, OldPython(folder))
    base = importlib.import_module("case").Case
    # Pickles, which the original compares, differ where equal values are not one object.
    base.compare = lambda self, one, other: one == other
    found = {}
    for path in sorted(folder.glob("case*_*.py")):
        # 9.9.1 is switched off in the suite itself.
        if path.stem in ("case12_x_x", "case9_9_1"):
            continue
        module = importlib.import_module(path.stem)
        groups = [value for name, value in vars(module).items() if re.fullmatch(r"Case\d+_(\d+_)?X(_X)?", name)]
        classes = [value for value in vars(module).values() if isinstance(value, type)]
        for case in classes + [case for group in groups for case in group if isinstance(case, type)]:
            number = re.fullmatch(r"Case(\d+(?:_\d+)+)", case.__name__)
            if number:
                found[number.group(1).replace("_", ".")] = case
    sys.modules["binascii"] = binascii
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")]))


class Client:
    """A connection, as a case sees it."""

    def __init__(self, case, reader, writer):
        self.reader, self.writer = reader, writer
        self.loop = asyncio.get_running_loop()
        self.to_send = asyncio.Queue()  # bounded by what one case sends
        self.factory = types.SimpleNamespace(isServer=False)
        self.state = Protocol.STATE_OPEN
        self.connectionWasOpen = True
        self.wasClean = self.closedByMe = self.failedByMe = self.droppedByMe = False
        self.remoteCloseCode = self.localCloseReason = None
        self.autoFragmentSize = 0
        self.txFrameStats = {}
        self.createWirelog = True
        self.fragments, self.message_opcode = [], None
        self.streaming = None
        for name in vars(Protocol):
            if name.startswith("CLOSE_"):
                setattr(self, name, getattr(Protocol, name))
        self.case = case(self)

    # What cases call.

    def enableWirelog(self, on):
        pass

    def sendFrame(self, opcode, payload="", fin=True, rsv=0, mask=None, payload_len=None, chopsize=None, sync=False):
        payload = as_bytes(payload)
        if payload_len is not None:
            payload = (payload * (payload_len // max(len(payload), 1) + 1))[:payload_len]
        self.txFrameStats[opcode] = self.txFrameStats.get(opcode, 0) + 1
        key = os.urandom(4)
        self.put(header(opcode, fin, rsv, len(payload), key) + xor(payload, key), chopsize)

    def sendMessage(self, payload, isBinary=False, fragmentSize=None, sync=False, doNotCompress=False):
        opcode = 2 if isBinary else 1
        size = fragmentSize or self.autoFragmentSize or max(len(payload), 1)
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [""]
        for number, piece in enumerate(pieces):
            self.sendFrame(opcode if number == 0 else 0, piece, fin=number == len(pieces) - 1)

    def beginMessage(self, isBinary=False):
        self.streaming = 2 if isBinary else 1

    def beginMessageFrame(self, length):
        self.key, self.position = os.urandom(4), 0
        self.put(header(self.streaming, False, 0, length, self.key))
        self.streaming = 0

    def sendMessageFrameData(self, payload, sync=False):
        payload = as_bytes(payload)
        turned = self.position % 4
        self.put(xor(payload, self.key[turned:] + self.key[:turned]))
        self.position += len(payload)

    def endMessage(self):
        self.sendFrame(0, "", fin=True)

    def sendClose(self, code=None, reason=None):
        if self.state == Protocol.STATE_OPEN:
            self.sendCloseFrame(code, reason)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        self.state = Protocol.STATE_CLOSING
        self.closedByMe = not isReply
        self.localCloseReason = reasonUtf8
        payload = b"" if code is None else struct.pack("!H", code)
        self.sendFrame(8, payload + as_bytes(reasonUtf8 or ""))

    def continueLater(self, delay, function, tag=None):
        self.loop.call_later(delay, lambda: self.state != Protocol.STATE_CLOSED and function())

    def killAfter(self, delay):
        self.loop.call_later(delay, lambda: self.state != Protocol.STATE_CLOSED and self.fail())

    def closeAfter(self, delay):
        self.loop.call_later(delay, lambda: self.state != Protocol.STATE_CLOSED and self.sendClose())

    # What happens to the connection.

    def put(self, data, chopsize=None):
        size = chopsize or max(len(data), 1)
        for at in range(0, len(data), size):
            self.to_send.put_nowait(data[at : at + size])

    def fail(self):
        self.failedByMe = True
        self.drop()

    def drop(self):
        self.droppedByMe = True
        self.writer.close()

    async def write(self):
        while True:
            self.writer.write(await self.to_send.get())
            await self.writer.drain()
            await asyncio.sleep(0)  # so that each piece leaves by itself

    async def run(self):
        writing = asyncio.ensure_future(self.write())
        self.case.onOpen()
        try:
            while True:
                self.frame(*await read_frame(self.reader))
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            pass
        self.state = Protocol.STATE_CLOSED
        writing.cancel()
        self.writer.close()
        self.case.onConnectionLost(self.failedByMe)

    def frame(self, fin, opcode, payload):
        text = payload.decode(BYTES)
        if opcode == 8:
            self.close_frame(payload)
        elif self.state == Protocol.STATE_OPEN and opcode == 9:
            self.sendFrame(10, payload)
            self.case.onPing(text)
        elif self.state == Protocol.STATE_OPEN and opcode == 10:
            self.case.onPong(text)
        elif opcode < 8:
            if opcode:
                self.message_opcode = opcode
            self.fragments.append(text)
            if fin:
                message, self.fragments = "".join(self.fragments), []
                if self.state == Protocol.STATE_OPEN:
                    self.case.onMessage(message, self.message_opcode == 2)

    def close_frame(self, payload):
        if len(payload) >= 2:
            self.remoteCloseCode = struct.unpack("!H", payload[:2])[0]
        self.wasClean = True
        if self.state == Protocol.STATE_OPEN:
            self.sendCloseFrame(self.remoteCloseCode, isReply=True)
        # The server closes the connection; it has a second for it.
        self.loop.call_later(1, lambda: self.state != Protocol.STATE_CLOSED and self.drop())
        self.case.onClose(True, self.remoteCloseCode, payload[2:].decode(BYTES))


def header(opcode, fin, rsv, length, key):
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if length < 126:
        head = struct.pack("!BB", first, 0x80 | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, length)
    return head + key


def xor(data, key):
    """As one number: byte by byte it would take seconds."""
    stream = (key * (len(data) // 4 + 1))[: len(data)]
    number = int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")
    return number.to_bytes(len(data), "big")


async def read_frame(reader):
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
    elif length == 127:
        (length,) = struct.unpack("!Q", await reader.readexactly(8))
    return bool(first & 0x80), first & 0x0F, await reader.readexactly(length)


async def run(number, case, host, port):
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    key = binascii.b2a_base64(os.urandom(16), newline=False).decode()
    writer.write(
        f"GET /echo HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101 "):
        raise SystemExit(f"no WebSocket: {head!r}")
    client = Client(case, reader, writer)
    await client.run()
    case = client.case
    return {"id": number, "behavior": case.behavior, "close": case.behaviorClose, "result": case.result}


async def main(package, host, port):
    cases = load(pathlib.Path(package)).items()
    heavy = [(number, case) for number, case in cases if number.startswith("9.")]
    light = [(number, case) for number, case in cases if not number.startswith("9.")]

    async def in_turn(turns, number, case):
        async with turns:
            return await asyncio.wait_for(run(number, case, host, port), 120)

    # The light ones wait for a second here and there, and must not wait for the megabytes of the heavy ones as well.
    results = []
    for group, at_once in ((light, AT_ONCE), (heavy, 2)):
        turns = asyncio.Semaphore(at_once)
        results += await asyncio.gather(*(in_turn(turns, number, case) for number, case in group))
    for result in results:
        # On a busy machine such a second may be over before the answer was read: one more chance, alone.
        if "FAILED" in (result["behavior"], result["close"]):
            result = await run(result["id"], dict(cases)[result["id"]], host, port)
        print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
