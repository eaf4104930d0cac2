"""Prints what Home Assistant's integrations require that are used here or always."""

import json
from pathlib import Path

import homeassistant
from homeassistant.bootstrap import CORE_INTEGRATIONS, DEFAULT_INTEGRATIONS

COMPONENTS = Path(homeassistant.__file__).parent / "components"
# The form of `mqtt` imports `hassio`.
left = {*DEFAULT_INTEGRATIONS, *CORE_INTEGRATIONS, "mqtt", "hassio", "energy", "history"}
seen = set()
while left:
    seen.add(name := left.pop())
    manifest = json.loads((COMPONENTS / name / "manifest.json").read_text())
    left |= {*manifest.get("dependencies", [])} - seen
    print(*manifest.get("requirements", []), sep="\n")
