#!/usr/bin/env python3
"""Judges the ESPHome test node (crates/testing) with ESPHome's own client, aioesphomeapi.

    tests/python/esphome_node.py PATH    the path of the compiled example `esphome_node`
"""

import asyncio
import base64
import subprocess
import sys

from aioesphomeapi import APIClient
from aioesphomeapi.core import (
    APIConnectionError,
    EncryptionPlaintextAPIError,
    InvalidEncryptionKeyAPIError,
    RequiresEncryptionAPIError,
)
from aioesphomeapi.model import SerialProxyParity, SerialProxyStatus

KEY = base64.b64encode(bytes([7] * 32)).decode()
OTHER = base64.b64encode(bytes([8] * 32)).decode()


def client(port, key):
    return APIClient("127.0.0.1", port, password=None, noise_psk=key, client_info="judge")


async def fails(port, key, kind):
    try:
        await client(port, key).connect()
    except APIConnectionError as error:
        assert isinstance(error, kind), error
    else:
        raise AssertionError(f"connected, expected {kind}")


async def use(client, instance, api_minor):
    """Uses a serial port, which sends back each byte: all bytes, and pieces of many lengths."""
    received, heard = bytearray(), asyncio.Event()

    def note(data):
        assert data.instance == instance, data
        received.extend(data.data)
        heard.set()

    client.subscribe_serial_proxy_data(note)
    if api_minor >= 16:
        answer = await client.serial_proxy_subscribe_await_response(instance)
        assert answer.status is SerialProxyStatus.OK, answer
    else:
        client.serial_proxy_subscribe(instance)
    client.serial_proxy_configure(
        instance, baudrate=1200, parity=SerialProxyParity.NONE, stop_bits=2, data_size=8
    )
    client.serial_proxy_set_modem_pins(instance, line_states=instance + 1)
    pins = await client.serial_proxy_get_modem_pins(instance)
    assert pins.line_states == instance + 1, pins
    for length in (1, 2, 32, 127, 128, 255, 256, 257, 1000):
        sent = bytes((index + instance) % 256 for index in range(length))
        received.clear()
        client.serial_proxy_write(instance, sent)
        while len(received) < length:
            heard.clear()
            await asyncio.wait_for(heard.wait(), 10)
        assert received == sent, (length, instance)


async def exchange(port, key, api_minor):
    """Uses both ports at once. One is refused to the client of the other."""
    first, second = client(port, key), client(port, key)
    await first.connect()
    await second.connect()
    version = first.api_version
    assert (version.major, version.minor) == (1, api_minor), version
    info = await first.device_info()
    assert info.name == "head" and info.esphome_version == "2026.6.5", info
    assert [proxy.name for proxy in info.serial_proxies] == ["Port 0", "Port 1"], info
    await asyncio.gather(use(first, 0, api_minor), use(second, 1, api_minor))
    if api_minor >= 16:
        answer = await second.serial_proxy_subscribe_await_response(0)
        assert answer.status is SerialProxyStatus.PORT_IN_USE, answer
    await second.disconnect()
    await first.disconnect()


async def judge(path):
    for key in (None, KEY):
        for api_minor in (14, 16):
            arguments = [path, "--api", str(api_minor)] + (["--key", "7"] if key else [])
            with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as node:
                port = int(node.stdout.readline())
                # Twice: the ports are given back at the end.
                await exchange(port, key, api_minor)
                await exchange(port, key, api_minor)
                if key:
                    await fails(port, None, RequiresEncryptionAPIError)
                    await fails(port, OTHER, InvalidEncryptionKeyAPIError)
                else:
                    await fails(port, KEY, EncryptionPlaintextAPIError)
                node.stdin.close()
                assert node.wait() == 0
            print(f"API 1.{api_minor}, {'encrypted' if key else 'plain'}: as a node")


if __name__ == "__main__":
    asyncio.run(judge(sys.argv[1]))
