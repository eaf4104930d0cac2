#!/usr/bin/env python3
"""A stand-in for Home Assistant's Supervisor: supervisor.py FILE [PORT]

It answers GET /services/mqtt from FILE, which it reads again for each request. The first line is the
status, the rest is the body. Requests need the token of the variable SUPERVISOR_TOKEN. The default
port is 80.

Home Assistant is away: GET /core/websocket is answered with 502, as the Supervisor does. It needs no
token, which is sent only after that."""

import http.server
import os
import pathlib
import sys


class Supervisor(http.server.BaseHTTPRequestHandler):
    # As the Supervisor does. A WebSocket needs it.
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/core/websocket":
            self.answer(502, "text/plain", "502: Bad Gateway")
        elif self.headers.get("Authorization") != f"Bearer {os.environ['SUPERVISOR_TOKEN']}":
            self.answer(403, "text/plain", "403: Forbidden")
        elif self.path == "/services/mqtt":
            status, body = pathlib.Path(sys.argv[1]).read_text().split("\n", 1)
            self.answer(int(status), "application/json", body.strip())
        else:
            self.answer(404, "text/plain", "404: Not Found")

    def answer(self, status, kind, body):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


port = int(sys.argv[2]) if len(sys.argv) > 2 else 80
http.server.ThreadingHTTPServer(("", port), Supervisor).serve_forever()
