"""Prints the lines of Python's logging for the records and formats below, as JSON.

    python3 tests/python/logging_lines.py > tests/data/logging-lines.json

`cargo test` compares our lines with that file (`crates/logging/src/format.rs`), and `.ci/run` compares
the file with the output of the installed Python. Only the standard library is used.
"""

import json
import logging
import os
import time

# Records in our terms. Times are in whole milliseconds: Python keeps them as floats.
RECORDS = {
    "poll": {
        "zone": "Europe/Copenhagen",
        "created_ms": 1795510800123,  # 2026-11-24 10:00:00.123 +01:00
        "since_start_us": 2500250,
        "level": "INFO",
        "target": "kamstrup2mqtt::poll::journal",
        "file": "src/poll/journal.rs",
        "line": 78,
        "message": "Read 7 of 7 values in 0.9 s.",
    },
    "summer": {
        "zone": "America/St_Johns",
        "created_ms": 1783058400007,
        "since_start_us": 0,
        "level": "WARNING",
        "target": "kamstrup2mqtt::mqtt",
        "file": "src/mqtt.rs",
        "line": 7,
        "message": "67.25 °C: 100 % of it\nis \"here\"",
    },
    "start": {
        "zone": "UTC",
        "created_ms": 1767225600000,  # 2026-01-01, whose week is the 53rd of 2025 or the 1st
        "since_start_us": 86400000000,
        "level": "CRITICAL",
        "target": "kamstrup2mqtt",
        "file": "src/lib.rs",
        "line": 12345,
        "message": "",
    },
}

PROCESS = 4711

# The samples of the older program.
SAMPLES = [
    ("%(asctime)s [%(name)s] %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"),
    (
        "[%(asctime)s %(filename)s %(funcName)s:%(lineno)d] %(levelname)s %(message)s",
        "%Y-%m-%d %H:%M:%S",
    ),
    ("%(name)s[%(process)d]: %(levelname)s %(message)s", None),
    (
        "[%(asctime)s %(filename)s %(funcName)s:%(lineno)4s - %(levelname)s - %(message)s]",
        "%Y-%m-%d %H:%M:%S",
    ),
]

FORMATS = [
    "%(asctime)s %(message)s",
    "%(levelname)-8s|%(levelname)8s|%(levelname)3s|%(levelname).2s|%(levelname)-6.4s|%(levelname)08s|",
    "%(lineno)04d|%(lineno)4d|%(lineno)-6d|%(lineno)+d|%(lineno) d",
    "%(lineno)s|%(lineno)6s|%(lineno)-6s|%(lineno).3d|%(lineno)08.6d|%(lineno)-08d|%(lineno)+08d|%(lineno)i|%(lineno)u",
    "%(lineno)f|%(lineno).1f|%(lineno)010.2f",
    "100 %% of %(message)s%%",
    "%(levelno)s %(levelno)d %(process)d %(process)6s %(processName)s %(threadName)s",
    "%(pathname)s %(filename)s %(module)s %(name)-40s|%(name).5s",
    "%(msecs)d|%(msecs)03d|%(msecs)s|%(msecs)f|%(msecs).1f",
    "%(created)d|%(created)f|%(created).3f|%(created)s|%(created)020.3f",
    "%(relativeCreated)d|%(relativeCreated)6d|%(relativeCreated).1f|%(relativeCreated)s",
    "%(message)40s|%(message)-40s|%(message).10s",
    "%(asctime)30s|%(asctime)-30s|%(asctime).10s",
    "[2026] {braces} $dollar \\ %(message)s",
]

DATES = [
    "%a %A %b %B %h %d %e %j %m %y %Y %C",
    "%H %I %k %l %M %S %p %P %s",
    "%c",
    "%x",
    "%X",
    "%r",
    "%D %F %R %T",
    "%U %W %V %G %g %u %w",
    "%z %Z",
    "%n%t%%",
    "%-d.%-m.%Y %-H:%-M %_d %_H %^a %^B %#Z",
    "%Ec|%Ex|%EX|%EY|%Ey|%EC|%Od|%Oe|%OH|%OI|%Om|%OM|%OS|%Ou|%OU|%OV|%Ow|%OW|%Oy",
    "Kl. %H°",
]


def record(of):
    made = logging.LogRecord(
        of["target"].replace("::", "."),
        getattr(logging, of["level"]),
        of["file"],
        of["line"],
        of["message"],
        None,
        None,
        # Rust does not report the function.
        func=of["target"].split("::")[-1],
    )
    made.module = of["target"].split("::")[-1]
    made.created = of["created_ms"] / 1000
    made.msecs = of["created_ms"] % 1000 + 0.0
    made.relativeCreated = of["since_start_us"] / 1000
    made.process = PROCESS
    return made


def main():
    cases = [(sample, date, name) for sample, date in SAMPLES for name in RECORDS]
    cases += [(written, None, name) for written in FORMATS for name in RECORDS]
    cases += [("%(asctime)s|", date, name) for date in DATES for name in RECORDS]
    lines = []
    for written, date, name in cases:
        os.environ["TZ"] = RECORDS[name]["zone"]
        time.tzset()
        line = logging.Formatter(written, date).format(record(RECORDS[name]))
        lines.append({"record": name, "format": written, "date": date, "line": line})
    print(
        json.dumps(
            {"process": PROCESS, "records": RECORDS, "lines": lines}, ensure_ascii=False, indent=1
        )
    )


main()
