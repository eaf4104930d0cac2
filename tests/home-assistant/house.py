"""A house with meters that the program has read, bystanders, and runs of the program."""

import signal
import sqlite3
import subprocess
import time
from datetime import datetime

from world import HOUR, MINUTE, PROXY, SECOND, UTC, WRITING, Proxy, World

PROGRAM = "/mnt/program"
EPOCH = datetime(2023, 1, 1, tzinfo=UTC)
# Unlike the others, the last one begins again at 0 from time to time.
BYSTANDERS = {"heat_pump": "kWh", "solar": "Wh", "car": "kWh"}


def counter(when, base=0):
    """What a meter shows: 1.3, 2.9, 0.7 and 2.2 kWh an hour in turn. It shows one decimal."""
    pattern = (13, 29, 7, 22)
    hours, rest = divmod(when - EPOCH, HOUR)
    rounds, hour = divmod(hours, 4)
    tenths = rounds * 71 + sum(pattern[:hour]) + pattern[hour] * (rest // MINUTE) // 60
    return round(base + tenths / 10, 1)


class House:
    """Runs a story twice. `control` has what became of the bystanders without the program."""

    serial = "1"

    def __init__(self, folder, now, meters, control=None):
        self.world = World(folder, now)
        self.is_control, self.control = control is None, control
        self.proxy = None if self.is_control else Proxy(self.world)
        self.kept, self.results = {}, []
        # The first hour that the program has read.
        self.read_since = now - 3 * HOUR
        # Sensors that are unavailable, that keep their state, and whose sums are adjusted.
        self.off, self.silent, self.adjusted = set(), set(), set()
        # Hours in which the program did not read the meter.
        self.unread = set()
        self.factors, self.older = {}, {}
        self.bases = {name: 1000.0 * number for number, name in enumerate(meters, 1)}
        self.world.start()
        for name in meters:
            self.world.sensor(name, f"kamstrup_{name}_energy")
        for name, unit in BYSTANDERS.items():
            self.world.sensor(name, f"other_{name}", unit)
        names = [*meters, *BYSTANDERS]
        for name in names:
            self.world.until(lambda: self.world.http(f"/api/states/sensor.{name}"), name, pause=0.3)
        self.world.show({name: self.state(name, now) for name in names})

    def close(self):
        self.world.close()
        if self.proxy:
            self.proxy.close()

    # Time ----------------------------------------------------------------------------------------

    def state(self, name, when):
        if name in self.off:
            return None
        if name in self.silent:
            return self.world.shown[name]
        if name in BYSTANDERS:
            number = [*BYSTANDERS].index(name)
            shown = counter(when) * (1, 1000, 1.7)[number]
            return round(shown % 90 if number == 2 else shown, 3)
        return self.reading(when, self.bases[name])

    @staticmethod
    def reading(when, base):
        """What a meter shows."""
        return counter(when, base)

    def step(self, length):
        """The recorder compiles at the end of each step."""
        self.world.time += length - (self.world.time - EPOCH) % length
        self.show()
        self.world.set_clock(self.world.time + 10 * SECOND)
        self.world.act("tick")

    def show(self):
        """The last readings before a time arrive a minute before it."""
        world = self.world
        world.set_clock(world.time - MINUTE)
        names = [*self.bases, *BYSTANDERS]
        world.show({name: self.state(name, world.time) for name in names}, self.factors)
        assert world.now() < world.time, "this machine is too slow"

    def hours(self, count):
        for _ in range(count):
            self.step(HOUR)

    def five_minutes(self, times=1):
        for _ in range(times):
            self.step(5 * MINUTE)

    # The program ---------------------------------------------------------------------------------

    def store(self, name):
        """Writes what the program would have stored if it had read the meter all the time."""
        folder = self.world.folder / name
        config = folder / "config.yaml"
        if not folder.exists():
            folder.mkdir()
            config.write_text(
                "serial_device: {com_port: 'socket://127.0.0.1:1', timeout: 1}\n"
                "mqtt: {host: 127.0.0.1, port: 2}\nkamstrup: {parameters: [energy]}\n"
                f"homeassistant: {{url: 'http://127.0.0.1:{PROXY}', token: '{self.world.token}'}}\n"
                f"web: {{enabled: false}}\nmeters: [{{name: {name}}}]\n")
            service = self.start("-c", config, name=name)
            tables = lambda: self.select(folder, "SELECT * FROM hour") is not None
            self.world.until(tables, "database of readings")
            service.terminate()
            service.wait(20)
        with sqlite3.connect(folder / "history.db") as database:
            database.executescript("DELETE FROM meter; DELETE FROM series; DELETE FROM hour")
            meters = [(1, self.bases[name], EPOCH, 1)]
            if name in self.older:
                base, exchanged = self.older[name]
                meters = [(1, base, EPOCH, 0), (2, self.bases[name], exchanged, 1)]
            for number, base, since, current in meters:
                until = self.world.time if current else exchanged
                database.execute("INSERT INTO meter VALUES (?, ?, ?, ?)",
                                 [number, name, self.serial if current else "2", current])
                database.execute("INSERT INTO series VALUES (?, ?, 'energy', 'kWh', 1, ?)",
                                 [number, number, current])
                hour = max(since, self.read_since)
                while hour + HOUR <= until:
                    low, high = (f"{self.reading(when, base):.1f}" for when in (hour, hour + HOUR))
                    start = int(hour.timestamp() * 1000)
                    if hour not in self.unread:
                        database.execute(
                            "INSERT INTO hour VALUES (?, ?, ?, ?, ?, ?, NULL, 60)",
                            [start, number, start + 3_595_000, high, low, high])
                    hour += HOUR
        return folder

    @staticmethod
    def select(folder, sql):
        database = sqlite3.connect(folder / "history.db")
        try:
            return database.execute(sql).fetchall()
        except sqlite3.Error:
            return None
        finally:
            database.close()

    def environment(self, folder):
        places = {"STATE_DIRECTORY": folder, "HOME": folder, "TZ": "Europe/Copenhagen"}
        return self.world.environment() | places

    def start(self, *arguments, name):
        folder = self.world.folder / name
        with open(folder / "output", "ab") as output:
            return subprocess.Popen(
                [PROGRAM, *arguments], stdout=output, stderr=subprocess.STDOUT,
                env=self.environment(folder))

    def statistics(self, name, *options):
        """Starts `kamstrup2mqtt statistics`."""
        folder = self.store(name)
        (folder / "output").write_bytes(b"")
        arguments = ("-c", folder / "config.yaml", "--file", folder / "history.db", *options)
        return self.start("statistics", *arguments, name=name)

    def wait_for_subscriptions(self, since, count):
        """Until these programs wait for the recorder."""
        configs = lambda: sum(command["type"] == "get_config"
                              for _, command in self.proxy.sent[since:]) >= count
        self.world.until(configs, "subscription", 30)
        time.sleep(0.3)

    def run(self, names, *options, kill=None, times=1):
        """Runs `kamstrup2mqtt statistics` for these meters at the same time, while five minutes
        pass, or more. Returns what each has printed, and the messages that write."""
        if self.is_control:
            self.five_minutes(times)
            return {}, []
        since = len(self.proxy.sent)
        running = {name: self.statistics(name, *options) for name in names}
        self.pass_time(running, since, kill, times)
        return self.printed(running), self.written(since)

    def pass_time(self, running, since, kill, times):
        """Lets five minutes pass, or more, once all of these have connected. `kill` says when the
        first of them is killed."""
        self.wait_for_subscriptions(since, len(running))
        if kill:
            self.proxy.kill = (next(iter(running.values())), *kill)
        for _ in range(times):
            self.five_minutes()
            time.sleep(2 * (times - 1))

    def serve(self, name, history, rows):
        """Runs the service, with this setting, until there are so many rows."""
        if self.is_control:
            return self.five_minutes()
        folder = self.store(name)
        config = folder / "config.yaml"
        setting = f"homeassistant: {{history: {history}, "
        config.write_text(config.read_text().replace("homeassistant: {", setting))
        since = len(self.proxy.sent)
        service = self.start("-c", config, name=name)
        self.wait_for_subscriptions(since, 1)
        self.five_minutes()
        written = lambda: len(self.world.rows(name)) >= rows and "statistics." in lines()
        lines = (folder / "output").read_text
        self.world.until(written, "row of the service", 60)
        service.terminate()
        self.check(f"{name}: the service ends well", service.wait(30) == 0)
        return [line for line in lines().splitlines() if "statistics." in line]

    def printed(self, running):
        texts = {}
        for name, process in running.items():
            code = process.wait(180)
            text = (self.world.folder / name / "output").read_text()
            texts[name] = text.partition("up to 5 minutes.\n")[2] or text
            if code not in (0, -signal.SIGKILL):
                self.check(f"{name}: the program ends well", False, f"{code}: {texts[name]}")
        return texts

    def written(self, since):
        return [(when, command) for when, command in self.proxy.sent[since:]
                if command["type"] in WRITING]

    # Verdicts ------------------------------------------------------------------------------------

    def check(self, what, is_true, measured=""):
        if not self.is_control:
            self.results.append(bool(is_true))
            print(f"{'ok    ' if is_true else 'FAILED'} {what}: {measured}", flush=True)

    def compare(self, case):
        """Bystanders must be as without the program, in every bit."""
        kept = {name: self.world.everything(name) for name in BYSTANDERS}
        # Of our own, the metadata, and the rows of five minutes unless they were adjusted.
        for name in self.bases:
            kept[name] = [self.world.metadata(name)]
            if name not in self.adjusted:
                kept[name].append(self.world.rows(name, "statistics_short_term"))
        self.kept[case] = kept
        if self.control:
            other = self.control[case]
            differing = [name for name in kept if kept[name] != other[name]]
            count = sum(len(table) for name in BYSTANDERS for table in kept[name][1:])
            self.check(f"{case}: bystanders, metadata and rows of five minutes are as without us",
                       not differing, f"{count} rows of bystanders, differing: {differing}")

    def wrong_hours(self, name, until=None):
        """The hours whose bar is not what the meter counted, and those without a row."""
        factor = 0.001 if self.world.metadata(name)[0][2] == "MWh" else 1
        rows = {datetime.fromtimestamp(start, UTC): (state, total)
                for start, state, total in self.world.rows(name)}
        hour, end = min(rows), until or max(rows)
        wrong = []
        while (hour := hour + HOUR) <= end:
            used = self.reading(hour + HOUR, 0) - self.reading(hour, 0)
            both = hour in rows and hour - HOUR in rows
            if not both or abs(rows[hour][1] - rows[hour - HOUR][1] - used * factor) > 1e-6:
                wrong.append(f"{hour:%d %H}")
        return wrong

    def check_filled(self, name, text, until=None):
        wrong, rows = self.wrong_hours(name, until), len(self.world.rows(name))
        filled = sum(line.startswith("  ") for line in text.splitlines())
        self.check(f"{name}: every hour has what the meter counted", not wrong and filled,
                   f"{filled} rows written, {rows} rows in all, wrong: {wrong}")

    def check_untouched(self, name, before, texts, words):
        """Nothing was written, and the program says why."""
        text = texts.get(name, "").strip()
        is_same = self.is_control or self.world.everything(name)[1][:len(before[1])] == before[1]
        self.check(f"{name}: nothing is touched", is_same and words in text, text)

    def check_messages(self):
        """Checks every message that was sent in the whole story."""
        if self.is_control:
            return
        kinds = {command["type"] for _, command in self.proxy.sent}
        self.check("only documented commands were sent", kinds <= DOCUMENTED, sorted(kinds))
        written = self.written(0)
        rows = [(when, datetime.fromisoformat(row["start"]))
                for when, command in written for row in command.get("stats", [])]
        early = [f"{start:%d %H}" for when, start in rows if when < start + HOUR + MINUTE]
        early += [f"{when:%H:%M:%S}" for when, _ in written if when.minute == 0]
        self.check("no hour was written before it was compiled, and nothing in a first minute",
                   not early, f"{len(written)} messages with {len(rows)} rows, early: {early}")


DOCUMENTED = {
    "subscribe_events", "get_config", "config/entity_registry/list",
    "recorder/get_statistics_metadata", "recorder/statistics_during_period", *WRITING,
}
