#!/usr/bin/env python3
"""Reads a simulated meter through a node whose encryption and messages are not ours.

    tests/python/esphome_server.py READER SIMULATOR [POLLS [FAULTED [AT_ONCE]]]

READER is the compiled example `read` of kamstrup-meter, SIMULATOR the program kamstrup2mqtt. The
node encrypts with the package noiseprotocol. Its messages are those of aioesphomeapi, which are
generated from ESPHome's api.proto. Each of POLLS polls must give the same values as one without a
node.

Then a tenth of the meter's answers has a fault, for each kind of fault. FAULTED polls are made
without a node, as many with a plain one, and as many with an encrypted one. No value may be wrong,
and with a node no fewer values may be read than without, apart from chance. AT_ONCE kinds and ways
run at the same time.
"""

import asyncio
import base64
import contextlib
import re
import sys

from aioesphomeapi import api_pb2 as pb
from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO
from noise.connection import NoiseConnection

KEY = bytes(range(100, 132))
NUMBERS = {proto: number for number, proto in MESSAGE_TYPE_TO_PROTO.items()}
SUBSCRIBE, UNSUBSCRIBE = 0, 1
DIRECTLY = "directly"
SEED = "18"
VALUE = re.compile(r".+ \(\d+\): ")
# In seconds; a busy machine is slow.
PATIENCE = 120
# `all` stands for all of them. A forged answer is valid in every respect: no reader can reject it.
NO_FAULTS_OF_A_LINE = ("all", "forged")


class Frames:
    """Messages over a connection, encrypted if there is a key."""

    def __init__(self, reader, writer, key):
        self.reader, self.writer, self.key, self.noise = reader, writer, key, None

    async def frame(self):
        preamble, high, low = await self.reader.readexactly(3)
        assert preamble == 1, preamble
        return await self.reader.readexactly(high * 256 + low)

    def write(self, content):
        self.writer.write(b"\x01" + len(content).to_bytes(2, "big") + content)

    async def begin(self):
        if not self.key:
            return
        noise = NoiseConnection.from_name(b"Noise_NNpsk0_25519_ChaChaPoly_SHA256")
        noise.set_as_responder()
        noise.set_psks(self.key)
        hello = await self.frame()
        noise.set_prologue(b"NoiseAPIInit\0" + bytes([0]) + hello)
        noise.start_handshake()
        self.write(b"\x01judge\x00063569abf679\x00")
        first = await self.frame()
        assert first[0] == 0, first
        noise.read_message(first[1:])
        self.write(b"\0" + noise.write_message())
        assert noise.handshake_finished
        self.noise = noise

    async def varint(self):
        value = shift = 0
        while True:
            (byte,) = await self.reader.readexactly(1)
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7

    async def receive(self):
        if self.noise:
            clear = self.noise.decrypt(await self.frame())
            number, length = int.from_bytes(clear[:2], "big"), int.from_bytes(clear[2:4], "big")
            body = clear[4 : 4 + length]
            assert len(body) == length
        else:
            assert await self.reader.readexactly(1) == b"\0"
            length, number = await self.varint(), await self.varint()
            body = await self.reader.readexactly(length)
        message = MESSAGE_TYPE_TO_PROTO[number]()
        message.ParseFromString(bytes(body))
        return message

    def send(self, message):
        number, body = NUMBERS[type(message)], message.SerializeToString()
        if self.noise:
            clear = number.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body
            self.write(self.noise.encrypt(clear))
            return
        header = b"\0"
        for value in (len(body), number):
            while value > 0x7F:
                header += bytes([value & 0x7F | 0x80])
                value >>= 7
            header += bytes([value])
        self.writer.write(header + body)


class Node:
    """A node with one serial port, which leads to a TCP port."""

    def __init__(self, line, key):
        self.line, self.key, self.owner, self.seen = line, key, None, []

    async def serve(self, reader, writer):
        frames, line = Frames(reader, writer, self.key), Line(self.line)
        try:
            await frames.begin()
            while True:
                message = await frames.receive()
                kind = type(message).__name__
                if kind == "HelloRequest":
                    frames.send(pb.HelloResponse(api_version_major=1, api_version_minor=14))
                elif kind == "DeviceInfoRequest":
                    # A real node sends much more than the client needs.
                    info = pb.DeviceInfoResponse(
                        name="judge", esphome_version="2026.6.5", model="x" * 120,
                        friendly_name="y" * 120, compilation_time="z" * 25,
                    )
                    info.serial_proxies.add(name="Meter head", port_type=0)
                    frames.send(info)
                elif kind == "PingRequest":
                    frames.send(pb.PingResponse())
                    frames.send(pb.PingRequest())
                elif kind == "SerialProxyGetModemPinsRequest":
                    frames.send(pb.SerialProxyGetModemPinsResponse())
                elif kind == "SerialProxyConfigureRequest":
                    self.seen.append((message.baudrate, message.parity, message.stop_bits,
                                      message.data_size, message.flow_control))
                elif kind == "SerialProxyRequest" and message.type == SUBSCRIBE:
                    assert self.owner is None, "the port was not given back"
                    self.owner = frames
                    await line.open(frames)
                elif kind == "SerialProxyRequest" and message.type == UNSUBSCRIBE:
                    self.owner = None
                elif kind == "SerialProxyWriteRequest":
                    line.writer.write(message.data)
                elif kind == "DisconnectRequest":
                    frames.send(pb.DisconnectResponse())
                    return
                else:
                    assert kind in ("PingResponse", "SerialProxySetModemPinsRequest"), kind
        except (asyncio.IncompleteReadError, ConnectionError):
            # The client has gone without a word.
            pass
        finally:
            if self.owner is frames:
                self.owner = None
            line.close()
            writer.close()


class Line:
    """A serial line. Unlike the connection that takes its place here, it never ends."""

    def __init__(self, port):
        self.port, self.reader, self.writer, self.copying = port, None, None, None

    async def open(self, frames):
        await self.connect()
        self.copying = asyncio.create_task(self.copy(frames))

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def copy(self, frames):
        while True:
            with contextlib.suppress(ConnectionError):
                while (data := await self.reader.read(7)) and not frames.writer.is_closing():
                    frames.send(pb.SerialProxyDataReceived(instance=0, data=data))
            self.writer.close()
            if frames.writer.is_closing():
                return
            await self.connect()

    def close(self):
        if self.copying:
            self.copying.cancel()
            self.writer.close()


async def read(reader, address):
    process = await asyncio.create_subprocess_exec(
        reader, address, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return sorted(output.decode(errors="replace").splitlines())


@contextlib.asynccontextmanager
async def simulated(simulator, *options):
    """A simulated meter; its TCP port."""
    process = await asyncio.create_subprocess_exec(
        simulator, "simulate", "--listen", "127.0.0.1:0", "--model", "403", *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )
    # Its reports of faults must not fill the pipe.
    reports = None
    try:
        announced = None
        while announced is None:
            said = (await asyncio.wait_for(process.stdout.readline(), PATIENCE)).decode()
            assert said, "the simulator has ended"
            announced = re.search(r"127\.0\.0\.1:(\d+)", said)
        reports = asyncio.create_task(process.stdout.read())
        yield int(announced[1])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if reports:
            await reports


@contextlib.asynccontextmanager
async def node_at(line, key):
    """A node at this line, and its address."""
    node = Node(line, key)
    server = await asyncio.start_server(node.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    query = f"/?key={base64.b64encode(key).decode()}" if key else ""
    yield node, f"esphome://127.0.0.1:{port}{query}"
    server.close()
    assert set(node.seen) == {(1200, 0, 2, 8, False)}, node.seen


@contextlib.asynccontextmanager
async def way_to(line, key):
    """The address of a meter: directly, or through a plain or an encrypted node."""
    if key is DIRECTLY:
        yield f"socket://127.0.0.1:{line}"
        return
    async with node_at(line, key) as (_, address):
        yield address


async def without_faults(reader, simulator, polls):
    async with simulated(simulator) as line:
        expected = await read(reader, f"socket://127.0.0.1:{line}")
        assert any("Energy" in text for text in expected), expected
        for key in (None, KEY):
            async with node_at(line, key) as (_, address):
                for poll in range(polls):
                    found = await read(reader, address)
                    assert found == expected, (poll, found)
            print(f"{'encrypted' if key else 'plain'}: {polls} polls, all values as without a node")
    return expected


async def values_with(reader, simulator, fault, key, expected, polls):
    """How many values are read through this fault."""
    count = 0
    async with simulated(simulator, "--fault", f"{fault}=10%", "--seed", SEED) as line:
        async with way_to(line, key) as address:
            for poll in range(polls):
                output = await read(reader, address)
                values = [text for text in output if VALUE.match(text)]
                wrong = set(values) - set(expected)
                if not values and key is not DIRECTLY:
                    print(f"{fault}, poll {poll}: {output}")
                assert not wrong, (fault, key, poll, wrong)
                count += len(values)
    return count


async def with_faults(reader, simulator, expected, polls, at_once):
    help_text = await asyncio.create_subprocess_exec(
        simulator, "simulate", "--help", stdout=asyncio.subprocess.PIPE
    )
    text = (await help_text.communicate())[0].decode()
    listed = text.split("for each fault, the last one is used:")[1].split("--seed")[0]
    faults = re.findall(r"^ +([a-z]+(?:-[a-z]+)*) +[A-Z0-9]", listed, re.MULTILINE)
    faults = [fault for fault in faults if fault not in NO_FAULTS_OF_A_LINE]
    assert len(faults) >= 16, faults
    places = asyncio.Semaphore(at_once)

    async def counted(fault, key):
        async with places:
            return await values_with(reader, simulator, fault, key, expected, polls)

    ways = (DIRECTLY, None, KEY)
    counts = await asyncio.gather(*(counted(fault, key) for fault in faults for key in ways))
    print(f"{polls} polls of {len(expected)} values for each fault and way: none wrong; read:")
    for index, fault in enumerate(faults):
        directly, plain, encrypted = counts[index * 3 : index * 3 + 3]
        print(f"  {fault:15} directly {directly}, plain {plain}, encrypted {encrypted}")
        room = max(2 * len(expected), polls * len(expected) // 50)
        assert min(plain, encrypted) >= directly - room, fault


async def main(reader, simulator, polls=20, faulted=10, at_once=4):
    answer = await without_faults(reader, simulator, int(polls))
    expected = [text for text in answer if VALUE.match(text)]
    await with_faults(reader, simulator, expected, int(faulted), int(at_once))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
