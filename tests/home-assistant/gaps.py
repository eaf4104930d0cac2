"""The story of gaps, which stored readings fill."""

import threading
import time
from datetime import datetime

from house import House, counter
from world import HOUR, MINUTE, SECOND, UTC

BEGIN = datetime(2026, 11, 2, 12, tzinfo=UTC)
# Each is named after what happens to its sensor. It is unavailable for 30 hours first, unless it is
# named below.
METERS = [
    "unavailable", "silent", "megawatt", "megawatt_first", "undone", "killed", "served", "starting",
    "early", "exchanged", "exchanged_higher", "off", "current", "eleven_days", "exchanged_in_days",
]
NOT_AT_FIRST = {"silent", "off", "current", "eleven_days", "exchanged_in_days"}
# When the program is killed: before Home Assistant gets the rows, or some time after.
POINTS = [None, 0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5]


def story(folder, control=None):
    house = House(folder, BEGIN, METERS, control)
    world = house.world
    megawatt(house, "megawatt_first")
    house.hours(3)
    megawatt(house, "megawatt")
    house.hours(1)
    thirty_hours(house)
    gaps(house)
    kill(house)
    undo(house, "undone")
    serve(house)
    early(house)
    switched_off(house)
    current_hour(house)
    eleven_days(house)
    house.check_messages()
    house.close()
    return house


def megawatt(house, name):
    """The user chooses MWh as the unit of display."""
    house.world.ask("config/entity_registry/update", entity_id=f"sensor.{name}",
                    options_domain="sensor", options={"unit_of_measurement": "MWh"})
    house.factors[name] = 0.001


def thirty_hours(house):
    house.five_minutes(4)
    house.off = set(METERS) - NOT_AT_FIRST
    house.silent = {"silent"}
    for hour in range(30):
        # Ten gaps of two hours.
        is_on = hour % 3 == 2
        house.off = house.off - {"killed"} if is_on else house.off | {"killed"}
        house.hours(1)
    house.off, house.silent = set(), set()
    # Other meters have taken the places of two ten hours ago.
    new = 50 - counter(house.world.time)
    for name, base in (("exchanged", new), ("exchanged_higher", 50_000.0)):
        house.older[name] = (house.bases[name], house.world.time - 10 * HOUR)
        house.bases[name] = base
    house.hours(3)
    house.compare("30 hours")


def gaps(house):
    world = house.world
    names = ["unavailable", "silent", "megawatt", "megawatt_first", "undone"]
    before = {name: world.everything(name) for name in METERS}
    texts, written = house.run(names, "--dry-run")
    is_same = all(world.rows(name) == rows_of(before[name]) for name in names)
    house.check("a dry run writes nothing", is_same and not written, f"{len(written)} messages")
    texts, written = house.run(names + ["exchanged", "exchanged_higher"])
    for name in texts.keys() & set(names):
        house.check_filled(name, texts[name])
    for name in ("exchanged", "exchanged_higher"):
        house.check_untouched(name, before[name], texts, "gap")
    after = {name: world.everything(name)[1] for name in names}
    texts, written = house.run(names)
    is_same = all(world.everything(name)[1] == after[name] for name in names)
    house.check("a second run changes no row", is_same and not written, f"{len(written)} messages")
    house.hours(2)
    for name in texts.keys() & set(names):
        wrong = house.wrong_hours(name)
        house.check(f"{name}: the next hours continue", not wrong, f"wrong: {wrong}")
    house.compare("gaps")


def rows_of(everything):
    return [(float.fromhex(row[0]), *(float.fromhex(one) for one in row[5:]))
            for row in everything[1]]


def kill(house):
    for point in POINTS:
        texts, written = house.run(["killed"], kill=(1, point))
        rows = len(house.world.rows("killed"))
        house.check(f"killed, {point} s after a message that writes", len(written) == 1,
                    f"{len(written)} messages, {rows} rows then")
    house.hours(1)
    house.five_minutes()
    texts, written = house.run(["killed"])
    if texts:
        house.check_filled("killed", texts["killed"])
    after = house.world.everything("killed")[1]
    texts, written = house.run(["killed"])
    is_same = house.world.everything("killed")[1] == after
    house.check("killed: another run changes no row", is_same and not written, "")
    house.hours(2)
    house.compare("killed")


def undo(house, name):
    """The bars become those that Home Assistant has in a house without us."""
    texts, written = house.run([name], "--undo", times=2)
    bars = house.kept[f"bars of {name}"] = bars_of(house.world.rows(name))
    if texts:
        house.check(f"{name}: after an undo, all bars are as without us",
                    bars == house.control[f"bars of {name}"],
                    f"{texts[name].strip()} {len(bars)} bars")
    after = house.world.everything(name)[1]
    texts, written = house.run([name])
    house.check(f"{name}: is left alone then",
                house.world.everything(name)[1] == after and not written,
                texts.get(name, "").strip())
    house.hours(1)
    house.compare(f"undone {name}")


def bars_of(rows):
    """What each hour adds; the first row, all of its sum. An hour without a bar is as one that adds
    nothing."""
    changes = [(start, round(total - before, 6))
               for (_, _, before), (start, _, total) in zip([(None, None, 0), *rows], rows)]
    return [bar for bar in changes if bar[1]]


def serve(house):
    """`homeassistant.history: gaps`"""
    rows = len(house.world.rows("served"))
    lines = house.serve("served", "gaps", rows + 20)
    wrong = [] if house.is_control else house.wrong_hours("served")
    house.check("served: the service fills the gap", not wrong, lines)
    house.hours(1)
    house.compare("served")


def early(house):
    """The command is given at h:00:05, before Home Assistant has compiled the last hour."""
    world = house.world
    world.time += HOUR
    house.show()
    world.set_clock(world.time + 5 * SECOND)
    if not house.is_control:
        since = len(house.proxy.sent)
        process = house.statistics("early")
        house.wait_for_subscriptions(since, 1)
    house.check("early: begins before the hour is compiled", world.now() < world.time + 9 * SECOND,
                f"{world.now():%H:%M:%S}")
    world.set_clock(world.time + 10 * SECOND)
    world.act("tick")
    if not house.is_control:
        printed = house.printed({"early": process})
        written = house.written(since)
        house.check_filled("early", printed["early"])
        house.check("early: writes from h:01:00 on",
                    written and all(when >= world.time + MINUTE for when, _ in written),
                    [f"{when:%H:%M:%S}" for when, _ in written])
    house.hours(1)
    house.compare("early")


def switched_off(house):
    """Home Assistant is off for 30 hours. Another gap is to be filled while it starts."""
    world = house.world
    stopped = world.time
    house.five_minutes(4)
    world.stop()
    world.time += 30 * HOUR
    begun = world.time
    attempts, found = [], {}

    def program():
        while True:
            process = house.statistics("starting")
            process.wait(300)
            attempts.append((world.folder / "starting/output").read_text())
            if "cannot connect" not in attempts[-1] and "status 502" not in attempts[-1]:
                return
            time.sleep(0.1)

    def begin():
        house.store("starting")
        thread = threading.Thread(target=program)
        thread.start()
        found["thread"] = thread

    world.start(None if house.is_control else begin)
    ready = world.now()
    if not house.is_control:
        # It asks again every five seconds whether Home Assistant is running.
        time.sleep(6)
    house.five_minutes()
    if not house.is_control:
        found["thread"].join(300)
        written = [one for one in house.written(0) if one[0] >= begun]
        house.check_filled("starting", attempts[-1], stopped - HOUR)
        house.check("starting: waits until Home Assistant has started",
                    written and all(when >= ready - 2 * SECOND for when, _ in written),
                    f"{len(attempts) - 1} attempts without a connection; running at "
                    f"{ready:%H:%M:%S}; wrote at {[f'{when:%H:%M:%S}' for when, _ in written]}")
    house.hours(2)
    house.compare("starting")
    texts, written = house.run(["off", "current", "eleven_days"])
    for name in texts:
        house.check_filled(name, texts[name])
    after = world.everything("off")[1]
    house.run(["off"])
    house.check("off: a second run changes no row", world.everything("off")[1] == after)
    house.hours(1)
    house.compare("off")


def current_hour(house):
    """The sensor returns in the current hour, so the gap ends with an hour without a row."""
    world = house.world
    house.off = {"current"}
    house.hours(4)
    house.five_minutes(2)
    house.off = set()
    before = world.everything("current")
    texts, written = house.run(["current"])
    house.check_untouched("current", before, texts, "gap")
    house.check("current: the hour that has not ended is not written", not written)
    house.hours(1)
    texts, written = house.run(["current"])
    if texts:
        house.check_filled("current", texts["current"])
    house.hours(1)
    house.compare("current")


def eleven_days(house):
    """Unavailable for longer than Home Assistant keeps states: its sum begins again at 0."""
    world, names = house.world, ["eleven_days", "exchanged_in_days"]
    house.off, house.silent = set(names), set(METERS) - set(names)
    for _ in range(11):
        house.hours(24)
        world.act("nightly")
    house.off, house.silent = set(), set()
    house.older["exchanged_in_days"] = (house.bases["exchanged_in_days"], world.time)
    house.bases["exchanged_in_days"] = 2 - counter(world.time)
    house.hours(3)
    before = {name: world.everything(name) for name in names}
    texts, written = house.run(names)
    house.check("eleven_days: nothing is written without --full", not written, "")
    house.adjusted = {"eleven_days"}
    texts, written = house.run(names, "--full", times=2)
    if texts:
        house.check_filled("eleven_days", texts["eleven_days"])
    house.check_untouched("exchanged_in_days", before["exchanged_in_days"], texts, "gap")
    after = world.everything("eleven_days")[1]
    texts, written = house.run(["eleven_days"], "--full")
    house.check("eleven_days: a second run changes no row",
                world.everything("eleven_days")[1] == after and not written, "")
    house.hours(2)
    wrong = house.wrong_hours("eleven_days")
    house.check("eleven_days: the next hours continue", not wrong, f"wrong: {wrong}")
    house.compare("eleven days")
    undo(house, "eleven_days")
