"""A meter, a broker and the program between them, as processes; and a proxy as Home Assistant's."""

import http.client
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = os.environ.get("KAMSTRUP2MQTT", str(ROOT / "target/release/kamstrup2mqtt"))
BROKER = os.environ.get("KAMSTRUP2MQTT_BROKER", str(ROOT / "target/release/examples/broker"))

# Is in the configuration, and must be on no page.
PLANTED = "planted-secret-1f9c"

# Under which Home Assistant shows an add-on.
PREFIX = "/api/hassio_ingress/t0Ken-_x"


class Process:
    """A process whose output is read line by line; it ends with the test."""

    def __init__(self, *arguments, **kwargs):
        environment = {**os.environ, "TZ": "Europe/Copenhagen", **kwargs.pop("env", {})}
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, text=True, env=environment, **kwargs
        )
        self.lines = []

    def wait_for(self, pattern):
        """The match of the first line that has it; an error when the process ends before."""
        for line in self.process.stdout:
            self.lines.append(line)
            if match := re.search(pattern, line):
                # Nobody reads on otherwise, and a full pipe would stop the process.
                threading.Thread(target=self._drain, daemon=True).start()
                return match
        raise AssertionError(f"{self.process.args} ended:\n{''.join(self.lines)}")

    def _drain(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def freeze(self):
        """From now on it does nothing; what connects to it waits for an answer."""
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


def free_port():
    with http.server.socketserver.TCPServer(("127.0.0.1", 0), None) as listener:
        return listener.server_address[1]


class House:
    """A meter that is read, and its page at `url`."""

    def __init__(self, folder, options=None, state=None, interval="1h"):
        self.folder = folder
        self.processes = []
        try:
            self._start(options, state, interval)
        except BaseException:
            self.end()
            raise

    def _start(self, options, state, interval):
        self.meter = self._run(PROGRAM, "simulate", "--model", "403", "--listen", "127.0.0.1:0")
        socket = self.meter.wait_for(r"(socket://\S+)")[1]
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
  parameters: [energy, volume, flow, power, temp1, temp2, tempdiff, maxpower_y]
  poll_interval: {interval}
"""
            )
            arguments = ["--stay", "--config", str(self.config)]
        else:
            file = self.folder / "options.json"
            file.write_text(json.dumps(options))
            arguments = ["--options", str(file)]
        if state is None:
            state = self.folder / "state"
            state.mkdir()
        self.program = self._run(
            PROGRAM,
            *arguments,
            "--listen",
            "127.0.0.1:0",
            env={"STATE_DIRECTORY": str(state)},
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
        """Asks as another page would, or another program. Gives the status."""

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


class Ingress:
    """What Home Assistant puts before the page: a path of its own, and a frame around it."""

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
                    # An address of the page that is not relative ends up here.
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
