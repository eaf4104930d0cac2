"""A broker, a Home Assistant whose clock is set, and what lies in its database.

All of it runs inside the root that `setup` has made, in a network of its own.
"""

import asyncio
import json
import mmap
import os
import shutil
import sqlite3
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

import aiohttp
from aiohttp import web
from paho.mqtt import publish

UTC = timezone.utc
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
CORE = "127.0.0.1:8123"
PROXY = 8124
CONFIGURATION = """\
homeassistant: {time_zone: Europe/Copenhagen, unit_system: metric, country: DK, currency: DKK}
recorder: {commit_interval: 1}
history:
energy:
witness:
logger: {default: warning}
"""


def filled(form, known):
    """Answers the questions of a form: what is known, else its default, else the first choice."""

    def answer(field):
        if field.get("type") == "expandable":
            return filled(field["schema"], known)
        choice = field.get("selector", {}).get("select", {"options": [False]})["options"][0]
        first = choice["value"] if isinstance(choice, dict) else choice
        return known.get(field["name"], field.get("default", first))

    return {field["name"]: answer(field) for field in form if field.get("required")}


class World:
    """Home Assistant, whose time goes on only when it is told to, apart from the seconds that a
    test really takes."""

    def __init__(self, folder, now):
        self.folder, self.time = folder, now
        shutil.rmtree(folder, ignore_errors=True)
        self.config = folder / "config"
        witness = self.config / "custom_components/witness"
        shutil.copytree(Path(__file__).parent / "witness", witness)
        (self.config / "configuration.yaml").write_text(CONFIGURATION)
        (self.config / ".storage").mkdir()
        done = {"done": ["user", "core_config", "analytics", "integration"]}
        onboarding = {"version": 4, "minor_version": 1, "key": "onboarding", "data": done}
        (self.config / ".storage/onboarding").write_text(json.dumps(onboarding))
        (folder / "clock").write_bytes(bytes(8))
        with open(folder / "clock", "r+b") as clock:
            self.clock = mmap.mmap(clock.fileno(), 8)
        self.log = open(folder / "home-assistant.log", "ab")
        self.token, self.core, self.shown = None, None, {}
        # The ids of entities that were renamed.
        self.ids = {}
        conf = folder / "mosquitto.conf"
        conf.write_text("listener 1883 127.0.0.1\nallow_anonymous true\nuser root\n")
        self.broker = subprocess.Popen(["mosquitto", "-c", conf], stderr=self.log)
        self.until(lambda: self.publish({"up": 1}) is None, "a broker")

    # The clock -----------------------------------------------------------------------------------

    def environment(self):
        """Sets the wall clock of a process. Its monotonic clock is the real one."""
        return os.environ | {"LD_PRELOAD": "/opt/clock.so", "CLOCK": str(self.folder / "clock")}

    def set_clock(self, when):
        self.offset = when.timestamp() - time.time()
        self.clock[:] = struct.pack("q", int(self.offset * 1e9))

    def now(self):
        return datetime.fromtimestamp(time.time() + self.offset, UTC)

    # Home Assistant ------------------------------------------------------------------------------

    def start(self, while_starting=None):
        self.set_clock(self.time)
        self.core = subprocess.Popen(
            ["/opt/venv/bin/hass", "-c", self.config, "--skip-pip"],
            stdout=self.log, stderr=self.log, env=self.environment(),
        )
        if while_starting:
            while_starting()
        path = self.config / "token"
        self.until(lambda: path.exists() and path.read_text(), "a token", 300, 0.3)
        self.token = path.read_text()
        is_running = lambda: self.http("/api/config")["state"] == "RUNNING"
        self.until(is_running, "Home Assistant", 300, 0.3)
        self.version = self.http("/api/config")["version"]
        if not self.http("/api/config/config_entries/entry?domain=mqtt"):
            flow = self.http("/api/config/config_entries/flow", {"handler": "mqtt"})
            path = f"/api/config/config_entries/flow/{flow['flow_id']}"
            known = {"broker": "127.0.0.1", "port": 1883}
            self.http(path, filled(flow["data_schema"], known))
        entries = "/api/config/config_entries/entry?domain=mqtt"
        self.until(lambda: self.http(entries)[0]["state"] == "loaded", "MQTT")
        self.act("tick")

    def stop(self):
        self.core.terminate()
        self.core.wait(60)

    def close(self):
        self.stop()
        self.broker.terminate()
        self.broker.wait(10)

    def http(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://{CORE}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            error.add_note(f"{path} {body}: {error.read().decode()}")
            raise

    def act(self, action):
        self.http(f"/api/services/witness/{action}", {})

    def ask(self, command, **fields):
        """One command over the WebSocket."""

        async def ask():
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"http://{CORE}/api/websocket") as socket,
            ):
                await socket.receive_json()
                await socket.send_json({"type": "auth", "access_token": self.token})
                await socket.receive_json()
                await socket.send_json({"id": 1, "type": command, **fields})
                return await socket.receive_json()

        answer = asyncio.run(ask())
        assert answer["success"], answer
        return answer["result"]

    def until(self, condition, what, seconds=120, pause=0.02):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if condition():
                    return
            except (OSError, LookupError, urllib.error.HTTPError):
                pass
            time.sleep(pause)
        raise TimeoutError(f"no {what} after {seconds} s; see {self.folder}")

    # Sensors -------------------------------------------------------------------------------------

    def publish(self, payloads):
        messages = [(topic, str(payload), 1, True) for topic, payload in payloads.items()]
        if messages:
            publish.multiple(messages, "127.0.0.1", 1883)

    def sensor(self, name, unique_id, unit="kWh"):
        self.publish({f"homeassistant/sensor/{name}/config": json.dumps({
            "name": name, "unique_id": unique_id, "default_entity_id": f"sensor.{name}",
            "state_topic": f"sensors/{name}/state", "availability_topic": f"sensors/{name}/is",
            "device_class": "energy", "state_class": "total_increasing",
            "unit_of_measurement": unit, "device": {"identifiers": ["sensors"], "name": "Sensors"},
        }), f"sensors/{name}/is": "online"})

    def id(self, name):
        return f"sensor.{self.ids.get(name, name)}"

    def rename(self, name, new):
        """Home Assistant renames the statistics with the entity, a moment later."""
        rows = len(self.rows(name))
        self.ask("config/entity_registry/update", entity_id=self.id(name),
                 new_entity_id=f"sensor.{new}")
        self.ids[name] = new
        self.until(lambda: len(self.rows(name)) == rows, "renamed statistics")

    def show(self, states, factors=None):
        """Publishes states, `None` for an unavailable sensor, and waits until they have arrived."""
        payloads = {}
        for name, state in states.items():
            if (state is None) != (self.shown.get(name, 0) is None):
                payloads[f"sensors/{name}/is"] = "offline" if state is None else "online"
            if state is not None and state != self.shown.get(name):
                payloads[f"sensors/{name}/state"] = state
        self.publish(payloads)
        self.shown |= states

        def has_arrived():
            all_states = {one["entity_id"]: one["state"] for one in self.http("/api/states")}
            for name, state in states.items():
                found = all_states[self.id(name)]
                if state is None or found in ("unavailable", "unknown"):
                    if state is not None or found != "unavailable":
                        return False
                elif abs(float(found) - float(state) * (factors or {}).get(name, 1)) > 1e-6:
                    return False
            return True

        self.until(has_arrived, f"states {states}", pause=0.05)

    # The database --------------------------------------------------------------------------------

    def select(self, sql, *values):
        database = sqlite3.connect(f"file:{self.config}/home-assistant_v2.db?mode=ro", uri=True)
        try:
            return database.execute(sql, values).fetchall()
        finally:
            database.close()

    def rows(self, name, table="statistics"):
        """Start, state and sum of each row."""
        return self.select(
            f"SELECT start_ts, state, sum FROM {table} JOIN statistics_meta AS meta "
            "ON meta.id = metadata_id WHERE statistic_id = ? ORDER BY start_ts", self.id(name))

    def metadata(self, name):
        """All columns but the number of the row."""
        sql = "SELECT * FROM statistics_meta WHERE statistic_id = ?"
        return [row[1:] for row in self.select(sql, self.id(name))]

    def everything(self, name):
        """All columns of all rows of a sensor, to the last bit."""
        columns = "start_ts, mean, min, max, last_reset_ts, state, sum"
        return [self.metadata(name)] + [
            [tuple(one.hex() if isinstance(one, float) else one for one in row) for row in
             self.select(f"SELECT {columns} FROM {table} WHERE metadata_id = "
                         "(SELECT id FROM statistics_meta WHERE statistic_id = ?) "
                         "ORDER BY start_ts", self.id(name))]
            for table in ("statistics", "statistics_short_term")]


class Proxy:
    """Stands between the program and Home Assistant. It notes what is sent, and kills the program
    at a chosen message that writes."""

    def __init__(self, world):
        self.world, self.sent, self.kill = world, [], None
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self.open(), self.loop).result(10)

    async def open(self):
        application = web.Application()
        application.router.add_get("/api/websocket", self.relay)
        self.runner = web.AppRunner(application)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", PROXY).start()

    def close(self):
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result(60)

    async def relay(self, request):
        try:
            session = aiohttp.ClientSession()
            theirs = await session.ws_connect(f"http://{CORE}/api/websocket", max_msg_size=0)
        except aiohttp.ClientError:
            await session.close()
            raise web.HTTPBadGateway from None
        ours = web.WebSocketResponse(max_msg_size=0)
        await ours.prepare(request)

        async def answers():
            async for message in theirs:
                await ours.send_str(message.data)
            await ours.close()

        answering = asyncio.create_task(answers())
        async for message in ours:
            command = json.loads(message.data)
            if "id" in command:
                self.sent.append((self.world.now(), command))
            if command["type"] in WRITING and self.kill:
                process, number, delay = self.kill
                self.kill = (process, number - 1, delay)
                if number > 1:
                    await theirs.send_str(message.data)
                    continue
                self.kill = None
                if delay is not None:
                    await theirs.send_str(message.data)
                    await asyncio.sleep(delay)
                process.kill()
                break
            await theirs.send_str(message.data)
        await asyncio.sleep(0.2)
        answering.cancel()
        await theirs.close()
        await session.close()
        return ours


WRITING = ("recorder/import_statistics", "recorder/adjust_sum_statistics")
