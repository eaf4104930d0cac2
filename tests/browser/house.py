"""Meters, a broker and the program between them, as processes; and a proxy like Home Assistant's."""

import http.client
import http.server
import json
import math
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = os.environ.get("KAMSTRUP2MQTT", str(ROOT / "target/release/kamstrup2mqtt"))
BROKER = os.environ.get("KAMSTRUP2MQTT_BROKER", str(ROOT / "target/release/examples/broker"))

# In the configuration; must be on no page.
PLANTED = "planted-secret-1f9c"

# The path under which Home Assistant shows an app (add-on).
PREFIX = "/api/hassio_ingress/t0Ken-_x"


# The parameters of a meter, unless a test names others.
VALUES = "energy, volume, flow, power, temp1, temp2, tempdiff, maxpower_y"


class Process:
    """A process whose output is read line by line."""

    def __init__(self, *arguments, **kwargs):
        environment = {**os.environ, "TZ": "Europe/Copenhagen", **kwargs.pop("env", {})}
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, text=True, env=environment, **kwargs
        )
        self.lines = []

    def wait_for(self, pattern):
        """Returns the match of the first line that has one. Fails if the process ends first."""
        for line in self.process.stdout:
            self.lines.append(line)
            if match := re.search(pattern, line):
                # If nothing read the rest, a full pipe would stop the process.
                threading.Thread(target=self._drain, daemon=True).start()
                return match
        raise AssertionError(f"{self.process.args} ended:\n{''.join(self.lines)}")

    def seen(self, pattern):
        """The same for a line that may have come already."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for line in list(self.lines):
                if match := re.search(pattern, line):
                    return match
            time.sleep(0.05)
        raise AssertionError(f"no line has {pattern}:\n{''.join(self.lines)}")

    def _drain(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def freeze(self):
        """Stops it. Whatever connects to it waits for an answer."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        self.thaw()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def plug_in(root, tty, port):
    """Adds a serial port to a machine whose `/sys` and `/dev` are below `root`. Returns its path."""
    device = root / "sys/class/tty" / tty / "device"
    device.mkdir(parents=True)
    (root / "sys/bus/usb").mkdir(parents=True, exist_ok=True)
    (device / "subsystem").symlink_to(root / "sys/bus/usb")
    (root / "dev").mkdir(exist_ok=True)
    path = root / "dev" / tty
    path.symlink_to(port)
    return path


def free_port():
    with http.server.socketserver.TCPServer(("127.0.0.1", 0), None) as listener:
        return listener.server_address[1]


class House:
    """A meter that is read, or one for each of `names`, and the page at `url`. Its statistics are
    those of the Home Assistant at the address `home_assistant`."""

    def __init__(
        self, folder, options=None, state=None, interval="1h", names=(), values=VALUES, token="",
        root="/", home_assistant=None,
    ):
        self.folder = folder
        self.processes = []
        try:
            self._start(options, state, interval, names, values, token, root, home_assistant)
        except BaseException:
            self.end()
            raise

    def _start(self, options, state, interval, names, values, token, root, home_assistant):
        meters = [
            self._run(PROGRAM, "simulate", "--model", "403", "--listen", "127.0.0.1:0")
            for _ in names or [""]
        ]
        self.meter, self.meters = meters[0], meters
        sockets = [meter.wait_for(r"(socket://\S+)")[1] for meter in meters]
        socket = sockets[0]
        broker_port = free_port()
        self._run(BROKER, str(broker_port)).wait_for("listens")
        if options is None:
            self.config = self.folder / "house.yaml"
            self.config.write_text(
                f"""\
mqtt:
  host: 127.0.0.1
  port: {broker_port}
  authentication: true
  username: heater
  password: {PLANTED}
serial_device:
  com_port: {socket}
kamstrup:
  parameters: [{values}]
  poll_interval: {interval}
"""
                + ("meters:\n" if names else "")
                + "".join(
                    f"- {{name: {name}, com_port: '{socket}'}}\n"
                    for name, socket in zip(names, sockets)
                )
                + (
                    f"homeassistant: {{url: '{home_assistant}', token: {PLANTED}}}\n"
                    if home_assistant
                    else ""
                )
            )
            arguments = ["--stay", "--config", str(self.config)]
        else:
            file = self.folder / "options.json"
            file.write_text(json.dumps(options))
            arguments = ["--options", str(file)]
        if state is None:
            state = self.folder / "state"
            state.mkdir(exist_ok=True)
        self.program = self._run(
            PROGRAM,
            *arguments,
            "--listen",
            "127.0.0.1:0",
            env={
                "STATE_DIRECTORY": str(state),
                "WEB_TOKEN": token,
                "KAMSTRUP2MQTT_ROOT": str(root),
            },
            cwd=self.folder,
        )
        self.url = self.program.wait_for(r"status page is at (http://\S+?)\.?$")[1] + "/"

    def _run(self, *arguments, **kwargs):
        process = Process(*arguments, **kwargs)
        self.processes.append(process)
        return process

    def get(self, path, **headers):
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    def post(self, path, **headers):
        """Sends a request like another page or program, and returns the status."""

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_):
                return None

        request = urllib.request.Request(self.url + path, data=b"meter=0", headers=headers)
        try:
            with urllib.request.build_opener(Stay).open(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def end(self):
        for process in reversed(self.processes):
            process.end()


def remember(state):
    """Adds two weeks of readings to the history in the folder `state`, of a house in November.

    The program must have read the meter once, and must not be running.
    """
    now = int(time.time()) // 300 * 300
    with sqlite3.connect(state / "history.db") as database:
        series = dict(database.execute("SELECT parameter, id FROM series"))
        last = dict(
            database.execute(
                "SELECT parameter, CAST(value AS REAL) FROM reading JOIN series ON id = series"
            )
        )
        used = 0
        for ago in range(300, 14 * 86400, 300):
            moment = now - ago
            hour = time.localtime(moment).tm_hour + moment % 3600 / 3600
            # The night is colder, and the heating rests; water is heated at seven and at nineteen.
            night = 1 if hour < 5.5 or hour > 22.5 else 0
            water = sum(math.exp(-((hour - at) ** 2) / 0.5) for at in (7, 19))
            wave = math.sin(moment / 2900) + math.sin(moment / 1100) / 2
            power = round(3600 - 1800 * night + 3400 * water + 250 * wave)
            supply, back = 62 + 6 * water + wave, 33 - 3 * night + 2 * water + wave / 2
            # It ends where the meter is.
            near = math.exp(-((ago / 3600) ** 2))
            power = round(power + (last["power"] - power) * near)
            supply += (last["temp1"] - supply) * near
            back += (last["temp2"] - back) * near
            used += power / 12000
            values = {
                "energy": round(last["energy"] - used),
                "power": power,
                "flow": f"{power / 1.16 / (supply - back) / 1000:.3f}",
                "temp1": f"{supply:.2f}",
                "temp2": f"{back:.2f}",
            }
            database.executemany(
                "INSERT OR REPLACE INTO reading VALUES (?, ?, ?)",
                [(moment * 1000, series[name], str(value)) for name, value in values.items()],
            )
    database.close()


class Ingress:
    """Home Assistant in front of the page: it has a path of its own, and a frame around the page."""

    def __init__(self, target):
        host, port = re.match(r"http://([^:/]+):(\d+)/", target).groups()
        strays = self.strays = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self):
                if self.path == "/frame":
                    return self.frame()
                if not self.path.startswith(PREFIX + "/"):
                    # An address that is not relative to the page ends up here.
                    strays.append(self.path)
                    return self.send_error(404)
                return self.forward()

            do_GET = do_POST = answer

            def frame(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                frame = f'<iframe title="meter" src="{PREFIX}/" width="760" height="900"></iframe>'
                icon = '<link rel="icon" href="data:,">'
                self.wfile.write(f"<!DOCTYPE html><title>Home</title>{icon}{frame}".encode())

            def forward(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) or None
                headers = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() not in ("host", "connection", "content-length")
                }
                headers |= {
                    "X-Ingress-Path": PREFIX,
                    "X-Forwarded-Host": self.headers["Host"],
                    "X-Forwarded-Proto": "http",
                }
                server = http.client.HTTPConnection(host, int(port))
                try:
                    server.request(self.command, self.path.removeprefix(PREFIX), body, headers)
                    answer = server.getresponse()
                    self.send_response(answer.status)
                    for name, value in answer.getheaders():
                        if name.lower() not in ("transfer-encoding", "connection"):
                            self.send_header(name, value)
                    self.send_header("Connection", "close")
                    self.end_headers()
                    while chunk := answer.read1(65536):
                        self.wfile.write(chunk)
                        self.wfile.flush()
                except (BrokenPipeError, ConnectionResetError):
                    pass
                finally:
                    server.close()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()
