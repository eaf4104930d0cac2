"""Two years of readings, as if the program had run all the time."""

import math
import sqlite3
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Copenhagen")
HOUR = 3_600
YEAR = 365.25 * 86_400


def cold(second):
    """How cold it is, from 0 to 1: by season and time of day."""
    # The 1st of January 2026 was at this second.
    season = math.cos((second - 1_767_222_000) * math.tau / YEAR)
    day = math.cos((second % 86_400 - 5 * HOUR) * math.tau / 86_400)
    return (3 + 2 * season + day) / 6


def values(second):
    """Each value that moves, in tenths or hundredths of its unit."""
    level = cold(second)
    noise = (second // 300 * 7_919) % 97 / 97
    return {
        "power": (round(9_000 * level + 2_000 * noise), 0),
        "flow": (round(300 * level + 60 * noise), 0),
        "temp1": (round(6_000 + 1_500 * level + 200 * noise), 2),
        "temp2": (round(3_400 - 300 * level + 100 * noise), 2),
    }


def text(digits, places):
    return f"{digits / 10**places:.{places}f}"


def days(now):
    """The beginnings of two years of local days, the oldest first, and the next one."""
    today = datetime.fromtimestamp(now, ZONE).date()
    dates = [today - timedelta(days=ago) for ago in range(760, -2, -1)]
    return [int(datetime(one.year, one.month, one.day, tzinfo=ZONE).timestamp()) for one in dates]


def remember(folder, since=None):
    """Fills the database of a program that has read its meter once. Nothing is older than `since`
    seconds."""
    database = sqlite3.connect(folder / "history.db", timeout=30)
    now = int(time.time())
    oldest = 0 if since is None else now - since
    series = dict(database.execute("SELECT parameter, id FROM series"))
    (energy,) = database.execute(
        "SELECT value FROM reading WHERE series = ?", [series["energy"]]
    ).fetchone()
    starts = days(now)
    # The counter rises by what the power was, and is at what the meter says in the end.
    used, total = {}, 0
    for hour in range(starts[0] // HOUR, now // HOUR + 1):
        total += 9 * cold(hour * HOUR)
        used[hour] = total
    counter = lambda second: float(energy) - (total - used.get(second // HOUR, 0))

    def rows(step, starts):
        for start, end in zip(starts, starts[1:]):
            # The program folds hours that are over, and the days that they are of.
            end = min(end, now // HOUR * HOUR)
            if start < oldest or start >= end:
                continue
            last = (end - 60) * 1_000
            own = [values(second) for second in range(start, end, max(300, step // 24))]
            for name in own[0]:
                digits, places = [one[name][0] for one in own], own[0][name][1]
                low, high, total = (text(f(digits), places) for f in (min, max, sum))
                end_value = text(digits[-1], places)
                yield start * 1_000, series[name], last, end_value, low, high, total, len(own)
            first, end_value = (f"{counter(second):.0f}" for second in (start, end - 60))
            yield start * 1_000, series["energy"], last, end_value, first, end_value, None, len(own)

    hours = range(max(oldest, now - 400 * 24 * HOUR) // HOUR * HOUR, now // HOUR * HOUR + 1, HOUR)
    insert = "INSERT OR REPLACE INTO {} VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    with database:
        database.executemany(insert.format("hour"), rows(HOUR, list(hours)))
        database.executemany(insert.format("day"), rows(24 * HOUR, starts))
        for second in range(max(oldest, now - 26 * HOUR), now - 60, 300):
            readings = {name: text(*value) for name, value in values(second).items()}
            readings["energy"] = f"{counter(second):.0f}"
            database.executemany(
                "INSERT OR REPLACE INTO reading VALUES (?, ?, ?)",
                [(second * 1_000, series[name], value) for name, value in readings.items()],
            )
    database.close()
