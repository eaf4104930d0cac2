"""The story of `homeassistant.history: full`: the running program writes what the meter's logs have."""

from logs import UnreadHouse, check_joined
from world import HOUR, UTC

# The clock of this meter is off by an hour.
LATE = "late"
# The program has another time zone than Home Assistant.
ABROAD = "abroad"
METERS = ["served", "corrected", "killed", LATE, ABROAD]


class FullHouse(UnreadHouse):
    """The program reads its meters from the first hour on, but neither it nor Home Assistant does so
    for 8 hours. The meters keep a log."""

    def __init__(self, folder, control):
        super().__init__(folder, control, METERS)
        self.adjusted = {"served", "corrected", "killed"}
        self.bases = dict.fromkeys(METERS, 0) | {LATE: 1}

    def state(self, name, when):
        """Nothing until it is known what the log has."""
        return None if name in METERS and not self.expected else super().state(name, when)

    def reading(self, when, base):
        return super().reading(when - base * HOUR, 0)

    def environment(self, folder):
        zone = {"TZ": "Europe/London"} if folder.name == ABROAD else {}
        return super().environment(folder) | zone

    def serve(self, names, kill=None, times=1):
        """Runs the service while five minutes pass, or more. Returns what it has logged, and the
        messages that write."""
        if self.is_control:
            self.five_minutes(times)
            return {}, []
        since = len(self.proxy.sent)
        running = {}
        for name in names:
            folder = self.store(name)
            config = folder / "config.yaml"
            text = config.read_text()
            if "history: full" not in text:
                setting = "logging: {level: DEBUG}\nhomeassistant: {history: full, "
                config.write_text(text.replace("homeassistant: {", setting))
            (folder / "output").write_bytes(b"")
            running[name] = self.start("-c", config, name=name)
        self.pass_time(running, since, kill, times)
        texts = {}
        for name, service in running.items():
            output = self.world.folder / name / "output"
            if not kill:
                is_done = lambda: "Looked for gaps" in output.read_text()
                self.world.until(is_done, f"end of the run of {name}")
                service.terminate()
            code = service.wait(60)
            self.check(f"{name}: the service ends", code == (-9 if kill else 0), code)
            texts[name] = output.read_text()
        return texts, self.written(since)


def story(folder, control=None):
    house = FullHouse(folder, control)
    world = house.world
    house.hours(30)
    house.off = set(METERS)
    begun = world.time.replace(minute=0)
    house.unread = {begun + hour * HOUR for hour in range(8)}
    house.hours(8)
    house.off = set()
    house.hours(10)
    house.compare("before")
    before = {name: world.everything(name) for name in METERS}

    texts, written = house.serve(["served", "corrected", LATE, ABROAD])
    for name in ("served", "corrected"):
        check_joined(house, name)
    for name, words in ((LATE, "does not show what was read"),
                        (ABROAD, "is not that of Home Assistant")):
        unchanged(house, name, before[name], texts, words)
    after = {name: world.everything(name)[1] for name in METERS}
    texts, written = house.serve(["served", "corrected", LATE, ABROAD])
    house.check("a second run changes no row", not written and all(
        world.everything(name)[1] == after[name] for name in METERS), f"{len(written)} messages")
    house.compare("served")

    killed(house)
    corrected(house)
    undone(house)
    house.compare("undone")
    house.check_messages()
    house.close()
    return house


def unchanged(house, name, before, texts, words):
    """Nothing was written, and the program says why."""
    rows = house.is_control or house.world.everything(name)[1]
    said = [line for line in texts.get(name, "").splitlines() if words in line]
    house.check(f"{name}: nothing is written, and the program says why",
                house.is_control or rows[:len(before[1])] == before[1] and said, said)


def killed(house):
    """Between the import and the adjustment. The next run completes it."""
    texts, written = house.serve(["killed"], kill=(2, None))
    steps = {round(total - state, 6) for _, state, total in house.world.rows("killed")}
    house.check("killed: the sums are not joined then", house.is_control or len(steps) > 1, steps)
    # The recorder may still be adjusting, so the program waits until it has compiled once more.
    house.serve(["killed"], times=2)
    check_joined(house, "killed")


def corrected(house):
    """Sums that the user has changed afterwards belong to the user."""
    first = house.begin.astimezone(UTC).isoformat()
    if not house.is_control:
        house.world.ask(
            "recorder/adjust_sum_statistics", statistic_id="sensor.corrected", start_time=first,
            adjustment=-7, adjustment_unit_of_measurement="kWh")
        house.world.until(
            lambda: len({round(total - state, 6) for _, state, total
                         in house.world.rows("corrected")}) == 2, "correction")
    after = house.world.everything("corrected")[1]
    texts, written = house.serve(["corrected"])
    house.check("corrected: what the user has changed stays",
                not written and house.world.everything("corrected")[1] == after)


def undone(house):
    texts, written = house.run(["served"], "--undo")
    after = house.world.everything("served")[1]
    texts, written = house.serve(["served"])
    said = [line for line in texts.get("served", "").splitlines() if "Left alone" in line]
    house.check("undone: the program leaves it alone then", house.is_control or said
                and not written and house.world.everything("served")[1] == after, said)
