"""The story of the time before the first hour of Home Assistant, which the meter's logs have."""

import json
import shutil
import subprocess
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from house import PROGRAM, House, counter
from world import HOUR, UTC

# The simulated meter's clock begins then. Its logs keep standard time all year.
BEGIN = datetime(2026, 11, 23, 6, tzinfo=UTC)
STANDARD, LOCAL = timezone(HOUR), ZoneInfo("Europe/Copenhagen")
SERIAL = "71234567"
# Which message that writes ends the program: the import or the adjustment. And when: before Home
# Assistant gets it, or seconds after.
POINTS = [(1, None), (1, 0), (1, 0.01), (1, 0.5), (2, None), (2, 0), (2, 0.001), (2, 0.005),
          (2, 0.02), (2, 0.5)]
KILLED = [f"killed_{number}" for number in range(len(POINTS))]
# Each is named after what happens to it later.
OTHERS = ["undone", "lowered", "renamed", "extended", "anew"]
METERS = ["first", *OTHERS, *KILLED]


def story(folder, control=None):
    house = LoggedHouse(folder, control)
    world = house.world
    house.hours(3)
    everything_before(house)
    lowered(house)
    extended(house)
    anew(house)
    killed(house)
    world.rename("renamed", "with_another_name")
    for name in ("undone", "renamed", "extended"):
        undone(house, name)
    house.check_messages()
    house.close()
    return house


class LoggedHouse(House):
    """All meters of it are the same, so that its logs are read once."""

    serial = SERIAL

    def __init__(self, folder, control, begin=BEGIN, meters=METERS):
        super().__init__(folder, begin, meters, control)
        self.begin = begin
        self.adjusted, self.read_since = set(meters), begin
        self.logs = folder / "meter-logs"
        # Meters whose log of days was not read yet.
        self.without_days = {"extended"}
        hours, days = self.read("hour"), self.read("day")
        self.expected = expected(hours, days)
        newest = hours[-1]["values"]["energy"]["value"]
        self.bases = dict.fromkeys(meters, round(newest - counter(BEGIN), 1))

    def read(self, log):
        """What the program reads from a simulated meter."""
        address = "127.0.0.1:2003"
        meter = subprocess.Popen([PROGRAM, "simulate", "--model", "403", "--energy-unit", "kWh",
                                  "--listen", address], stdout=subprocess.DEVNULL)
        command = [PROGRAM, "history", "--log", log, "--port", f"socket://{address}", "--json"]
        read = lambda: subprocess.run(
            command, env=self.environment(self.world.folder), stdout=subprocess.PIPE,
            stderr=self.world.log).stdout
        found = {}
        self.world.until(lambda: found.update(json.loads(read() or "{}")) or found, "log")
        meter.terminate()
        meter.wait(10)
        return found["entries"]

    def store(self, name):
        folder = super().store(name)
        ignore = shutil.ignore_patterns(*["*-day.txt"] * (name in self.without_days))
        shutil.copytree(self.logs, folder / "meter-logs", dirs_exist_ok=True, ignore=ignore)
        return folder


def expected(hours, days):
    """The state of each hour. A day's entry is the last local hour of the day that it measures."""

    def until(entry):
        read = datetime.fromisoformat(entry["until"]).replace(tzinfo=STANDARD)
        return read.replace(minute=0, second=0)

    rows = {until(entry) - HOUR: entry["values"]["energy"]["value"] for entry in hours}
    first = min(rows)
    for entry in days:
        midnight = until(entry).replace(tzinfo=LOCAL)
        hour = midnight.astimezone(UTC) - HOUR
        if hour < first:
            rows[hour] = entry["values"]["energy"]["value"]
    return {hour.astimezone(UTC): state for hour, state in rows.items()}


def everything_before(house):
    world = house.world
    before = world.everything("first")[1]
    texts, written = house.run(["first"], "--full", "--dry-run")
    house.check("a dry run writes nothing",
                world.everything("first")[1] == before and not written, f"{len(written)} messages")
    house.run(["first", *OTHERS], "--full")
    check_joined(house, "first")
    after = world.everything("first")[1]
    texts, written = house.run(["first"], "--full")
    house.check("a second run changes no row",
                world.everything("first")[1] == after and not written, f"{len(written)} messages")
    house.hours(2)
    check_joined(house, "first")
    house.compare("before the first hour")


def check_joined(house, name):
    """Every row has what the meter had logged, and all sums continue."""
    if house.is_control:
        return
    rows = house.world.rows(name)
    states = {datetime.fromtimestamp(start, UTC): state for start, state, _ in rows}
    differing = [f"{hour:%Y-%m-%d %H}" for hour, state in known(house).items()
                 if states.get(hour) != state]
    steps = {round(total - state, 6) for _, state, total in rows}
    older = sum(hour < house.begin for hour in states)
    expected = sum(hour < house.begin for hour in house.expected)
    house.check(f"{name}: all hours and days of the logs are there, and all sums continue",
                not differing and len(steps) == 1 and rows[0][2] == 0
                and older == expected,
                f"{older} rows before the first hour, {expected} expected, from "
                f"{min(states):%Y-%m-%d %H:%M}; differing: {differing[:5]}; sum - state: {steps}")
    check_days(house, name)


def known(house):
    """What the logs say about the hours that have ended."""
    return {hour: state for hour, state in house.expected.items() if hour + HOUR <= house.world.time}


def check_days(house, name):
    """The bars of days that Home Assistant shows, against the log of days."""
    found = house.world.ask(
        "recorder/statistics_during_period", start_time="2020-01-01T00:00:00Z", period="day",
        statistic_ids=[house.world.id(name)], types=["change"])[house.world.id(name)]
    bars = {datetime.fromtimestamp(bar["start"] / 1000, LOCAL).date(): bar["change"]
            for bar in found}
    ends = {}
    for hour, state in sorted(known(house).items()):
        ends[hour.astimezone(LOCAL).date()] = state
    days = sorted(ends)[:-1]
    wrong = [str(day) for before, day in zip(days, days[1:])
             if abs(bars.get(day, -1) - (ends[day] - ends[before])) > 1e-6]
    summer = sum(bool(datetime(day.year, day.month, day.day, 12, tzinfo=LOCAL).dst())
                 for day in days)
    house.check(f"{name}: each day has what was used on it", not wrong and len(days) > 400,
                f"{len(days)} days, {summer} of them in summer, wrong: {wrong[:5]}")


def check_nothing_new(house, name):
    """Another run changes no row."""
    after = house.world.everything(name)[1]
    texts, written = house.run([name], "--full")
    house.check(f"{name}: another run changes no row",
                house.world.everything(name)[1] == after and not written,
                f"{len(written)} messages; {texts.get(name, '').strip()}")
    return texts.get(name, "")


def lowered(house):
    """The user lowers the sums at the first hour by hand. They are not raised again."""
    world = house.world
    if not house.is_control:
        before = world.rows("lowered")
        world.ask("recorder/adjust_sum_statistics", statistic_id="sensor.lowered",
                  start_time=BEGIN.isoformat(), adjustment=-50,
                  adjustment_unit_of_measurement="kWh")
        world.until(lambda: world.rows("lowered")[-1][2] < before[-1][2] - 49, "lower sum")
    text = check_nothing_new(house, "lowered")
    house.check("lowered: the program says why", "somebody has changed sums" in text, text.strip())
    house.compare("lowered")


def extended(house):
    """The log of days is read after the hours were written. The first run is killed."""
    rows = house.world.rows("extended")
    house.without_days.clear()
    texts, written = house.run(["extended"], "--full", "--dry-run")
    house.check("extended: a dry run writes nothing",
                house.world.rows("extended") == rows and not written)
    house.run(["extended"], "--full", kill=(2, None))
    texts, written = house.run(["extended"], "--full", times=2)
    house.check("extended: the next run only joins the sums",
                [command["type"] for _, command in written] == ["recorder/adjust_sum_statistics"],
                texts.get("extended", "").strip())
    check_joined(house, "extended")
    check_nothing_new(house, "extended")
    house.hours(1)
    check_joined(house, "extended")
    house.compare("older hours")


def anew(house):
    """Home Assistant's statistics of the entity are deleted, and begin again."""
    world = house.world
    world.ask("recorder/clear_statistics", statistic_ids=["sensor.anew"])
    world.until(lambda: not world.rows("anew"), "end of the statistics")
    house.hours(2)
    texts, written = house.run(["anew"], "--full")
    text = texts.get("anew", "")
    house.check("anew: the program says that it writes again",
                "no longer has the hours that an earlier run has written" in text,
                f"{len(written)} messages, {len(text.splitlines())} lines")
    check_joined(house, "anew")
    check_nothing_new(house, "anew")
    house.compare("anew")


def killed(house):
    for name, point in zip(KILLED, POINTS):
        texts, written = house.run([name], "--full", kill=point)
        number, delay = point
        rows = house.world.rows(name)
        steps = {round(total - state, 6) for _, state, total in rows}
        house.check(f"{name}: {delay} s after message {number} that writes",
                    len(written) == number, f"{len(rows)} rows then, sum - state: {steps}")
    house.hours(1)
    texts, written = house.run(KILLED, "--full", times=2)
    for name in KILLED:
        check_joined(house, name)
    after = {name: house.world.everything(name)[1] for name in KILLED}
    texts, written = house.run(KILLED, "--full")
    house.check("killed: another run changes no row", not written and all(
        house.world.everything(name)[1] == rows for name, rows in after.items()))
    house.hours(2)
    house.compare("killed")


def undone(house, name):
    """Home Assistant's own rows become what they are without us. The others make no bar."""
    texts, written = house.run([name], "--undo", times=2)
    begin = BEGIN.timestamp()
    tables = [[row for row in house.world.rows(name, table) if row[0] >= begin]
              for table in ("statistics", "statistics_short_term")]
    house.kept[f"own {name}"] = tables
    if not house.is_control:
        is_same = all(
            len(own) == len(other) and all(
                abs(a - b) < 1e-6 for one, two in zip(own, other) for a, b in zip(one, two))
            for own, other in zip(tables, house.control[f"own {name}"]))
        left = [row for row in house.world.rows(name) if row[0] < begin]
        house.check(f"{name}: Home Assistant's own rows are as without us", is_same,
                    f"{[len(table) for table in tables]} rows; {texts[name].strip()}")
        house.check(f"{name}: the older rows make no bar",
                    left and all(state is None and total == 0 for _, state, total in left),
                    f"{len(left)} rows")
    check_nothing_new(house, name)
    house.hours(1)
    house.compare(name)


class UnreadHouse(LoggedHouse):
    """Its meters show what is in the log of hours."""

    expected = None

    def __init__(self, folder, control, meters=("unread", "unread_silent")):
        super().__init__(folder, control, BEGIN - 66 * HOUR, meters)
        self.adjusted = set()

    def reading(self, when, base):
        hour = when.replace(minute=0) - HOUR
        return float(self.expected[hour] if self.expected else 0)


def unread(folder, control=None):
    """Nobody reads the meters for 30 hours, but the meters keep a log."""
    house = UnreadHouse(folder, control)
    names = [*house.bases]
    house.hours(4)
    house.five_minutes(4)
    house.off, house.silent = {"unread"}, {"unread_silent"}
    begun = house.world.time.replace(minute=0)
    house.unread = {begun + hour * HOUR for hour in range(30)}
    house.hours(30)
    house.off, house.silent = set(), set()
    while house.world.time < BEGIN:
        house.hours(1)
    house.compare("30 hours")
    texts, written = house.run(names, "--full")
    for name in texts:
        house.check_filled(name, texts[name])
    after = [house.world.everything(name)[1] for name in names]
    texts, written = house.run(names, "--full")
    house.check("a second run changes no row", not written and
                [house.world.everything(name)[1] for name in names] == after)
    house.compare("unread")
    house.check_messages()
    house.close()
    return house
