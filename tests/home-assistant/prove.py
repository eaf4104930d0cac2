"""Proves on a real Home Assistant what kamstrup2mqtt writes into its statistics.

Each story is told twice, first without the program. The rows of bystanders must be the same, to the
last bit, the second time.
"""

import sys
import time
from pathlib import Path

import full
import gaps
import logs

STORIES = {"gaps": gaps.story, "logs": logs.story, "unread": logs.unread,
           "full": full.story}
FOLDER = Path("/var/tmp/statistics")


def main(names):
    failed = 0
    for name in names or STORIES:
        begun = time.monotonic()
        control = STORIES[name](FOLDER / name / "without")
        house = STORIES[name](FOLDER / name / "with", control.kept)
        failed += house.results.count(False)
        print(f"{name}: Home Assistant {house.world.version}, {len(house.results)} checks, "
              f"{house.results.count(False)} failed, {time.monotonic() - begun:.0f} s", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
