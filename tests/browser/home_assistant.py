"""Home Assistant's WebSocket API, as far as docs/statistics.md says that it is used. It holds the
statistics of one entity in memory, and refuses every other command."""

import json
import threading
from datetime import datetime, timezone

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from past import HOUR, ZONE

COMPILED = "recorder_5min_statistics_generated"
WRITING = ["recorder/import_statistics", "recorder/adjust_sum_statistics"]


def second(text):
    return int(datetime.fromisoformat(text).timestamp())


class Refused(Exception):
    """A command that is not answered, with the code for it."""


class HomeAssistant:
    """A Home Assistant at `url`, with `rows` of a counter: its state and its sum, by the second at
    which each hour begins."""

    entity = "sensor.heat_meter_energy"

    def __init__(self, token, rows=None):
        self.token = token
        self.rows = dict(rows or {})
        # Each command that it got, and those that it has refused.
        self.asked, self.refused = [], []
        self.is_gone = False
        # The recorder compiles as soon as somebody waits for it, unless this is cleared.
        self.compiles = threading.Event()
        self.compiles.set()
        # What is in front of it answers with this status instead; the token is an administrator's.
        self.status, self.is_administrator = None, True
        self.server = serve(self.serve, "127.0.0.1", 0, process_request=self.front)
        self.port = self.server.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        """From now on, it does not exist. That can be said twice."""
        if not self.is_gone:
            self.is_gone = True
            self.server.shutdown()

    def written(self):
        """The commands that have changed something."""
        return [one for one in self.asked if one["type"] in WRITING]

    def front(self, connection, _):
        return connection.respond(self.status, "") if self.status else None

    def serve(self, connection):
        def send(**message):
            connection.send(json.dumps(message))

        try:
            send(type="auth_required", ha_version="2026.11.0")
            login = json.loads(connection.recv())
            if login != {"type": "auth", "access_token": self.token}:
                return send(type="auth_invalid", message="Invalid access token or password")
            send(type="auth_ok", ha_version="2026.11.0")
            subscription = None
            for text in connection:
                command = json.loads(text)
                number, kind = command["id"], command["type"]
                self.asked.append(command)
                try:
                    result = self.answer(kind, command)
                except Refused as refused:
                    self.refused.append(command)
                    error = {"code": str(refused), "message": ""}
                    send(id=number, type="result", success=False, error=error)
                    continue
                send(id=number, type="result", success=True, result=result)
                if kind == "subscribe_events":
                    subscription = number
                if kind == "get_config" and subscription and self.compiles.is_set():
                    fired = datetime.now(timezone.utc).isoformat()
                    event = {"event_type": COMPILED, "data": {}, "time_fired": fired}
                    send(id=subscription, type="event", event=event)
        except ConnectionClosed:
            pass

    def answer(self, kind, command):
        if not self.is_administrator:
            raise Refused("unauthorized")
        match kind:
            case "subscribe_events" if command["event_type"] == COMPILED:
                return None
            case "get_config":
                return {"state": "RUNNING"}
            case "config/entity_registry/list":
                return [
                    {"entity_id": "sun.sun", "unique_id": 1, "platform": "sun"},
                    {"entity_id": self.entity, "unique_id": "kamstrup_energy", "platform": "mqtt"},
                ]
            case "recorder/get_statistics_metadata":
                return [self.metadata()] if command["statistic_ids"] == [self.entity] else []
            case "recorder/statistics_during_period":
                return {self.entity: self.between(**command)}
            case "recorder/import_statistics":
                self.check(command["metadata"]["statistic_id"])
                for row in command["stats"]:
                    self.rows[second(row["start"])] = (row.get("state"), row["sum"])
                return None
            case "recorder/adjust_sum_statistics":
                self.check(command["statistic_id"])
                start, by = second(command["start_time"]), command["adjustment"]
                for at, (state, total) in self.rows.items():
                    if at >= start:
                        self.rows[at] = (state, total + by)
                return None
        raise Refused("unknown_command")

    def check(self, entity):
        if entity != self.entity:
            raise Refused("not_found")

    def metadata(self):
        return {
            "statistic_id": self.entity,
            "name": None,
            "source": "recorder",
            "has_sum": True,
            "mean_type": 0,
            "unit_class": "energy",
            "statistics_unit_of_measurement": "kWh",
        }

    def between(self, statistic_ids, period, start_time, end_time, **_):
        self.check(*statistic_ids)
        if period == "month":
            # Only the first one is of interest.
            month = datetime.fromtimestamp(min(self.rows), ZONE).replace(
                day=1, hour=0, minute=0, second=0, microsecond=0
            )
            return [{"start": int(month.timestamp()) * 1_000, "state": None, "sum": None}]
        if period != "hour":
            raise Refused("invalid_format")
        return [
            {"start": at * 1_000, "end": (at + HOUR) * 1_000, "state": state, "sum": total}
            for at, (state, total) in sorted(self.rows.items())
            if second(start_time) <= at < second(end_time)
        ]
