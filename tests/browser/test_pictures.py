"""Makes the pictures that README.md and docs/ show:

    KAMSTRUP2MQTT_PICTURES=docs/images target/browser/bin/pytest tests/browser/test_pictures.py

Without the variable they are made in target/browser/pictures/docs, as a check that they still can be.
"""

import io
import os
import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from house import ROOT, remember
from test_page import is_live

FOLDER = Path(os.environ.get("KAMSTRUP2MQTT_PICTURES") or ROOT / "target/browser/pictures/docs")
LARGEST = 60_000

SEVEN = "energy, volume, power, flow, temp1, temp2, tempdiff"
AGES = {
    "#meter-0 .last [data-age]": ["12 s", "3 h 5 min"],
    "#meter-0 .actions [data-left]": ["4 min"],
}
TROUBLE = {
    "#meter-0 .last [data-age]": ["12 s", "9 min"],
    "#meter-0 > .faint [data-age]": ["14 min"],
    "#meter-0 .actions [data-left]": ["4 min"],
}


def still(page, ages):
    """Stops all updates, and replaces what differs from run to run."""
    page.evaluate("() => { source.close(); refresh = () => {}; }")
    # An update under way would replace the elements once more.
    page.wait_for_timeout(1_000)
    page.evaluate(
        """ages => {
            for (const [selector, texts] of Object.entries(ages)) {
                for (const [index, span] of document.querySelectorAll(selector).entries()) {
                    for (const name of ["data-age", "data-left"]) span.removeAttribute(name);
                    span.textContent = texts[index % texts.length];
                }
            }
            for (const text of document.querySelectorAll(".complaint, .complaint *")) {
                if (text.children.length) continue;
                text.textContent = text.textContent.replace(/127\\.0\\.0\\.1:\\d+/, "192.168.1.50:2003");
            }
        }""",
        ages,
    )


def save(page, name, last, first=None):
    """Saves the page down to the element `last`, from the top or from the element `first`."""
    page.locator(last).first.scroll_into_view_if_needed()
    offset = page.evaluate("scrollY")
    bottom = page.locator(last).first.bounding_box()
    top = page.locator(first).bounding_box()["y"] + offset if first else 0
    height = bottom["y"] + offset + bottom["height"] + 12 - top
    clip = {"x": 0, "y": top, "width": page.viewport_size["width"], "height": height}
    png = page.screenshot(full_page=True, clip=clip)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    # The most frequent colours, exactly: Pillow's own palettes are mixed, and lose small areas.
    colours = sorted(picture.getcolors(picture.width * picture.height), reverse=True)[:80]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in colours for part in colour])
    picture = picture.quantize(palette=palette, dither=Image.Dither.NONE)
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.png"
    picture.save(path, optimize=True)
    assert path.stat().st_size <= LARGEST, f"{name}: {path.stat().st_size} bytes"


def look(visit, house, width, height):
    page = visit(house.url, viewport={"width": width, "height": height}, device_scale_factor=1.5)
    is_live(page)
    expect(page.locator("#meter-0 .values > div")).to_have_count(7)
    return page


def test_page_and_trouble(build, visit, tmp_path):
    house = build(values=SEVEN, interval="5m")
    look(visit, house, 800, 700).close()
    house.end()
    remember(tmp_path / "state")
    house = build(values=SEVEN, interval="5m")
    page = look(visit, house, 800, 700)
    expect(page.locator("#meter-0 svg.chart").first).to_be_visible()
    still(page, AGES)
    save(page, "page", "#meter-0 figure")

    page = look(visit, house, 800, 700)
    house.meter.freeze()
    page.locator("#read-0").click()
    expect(page.locator("#meter-0 > .row .badge")).to_contain_text("Trouble", timeout=60_000)
    page.evaluate("say('')")
    still(page, TROUBLE)
    expect(page.locator("#said")).to_be_empty()
    save(page, "trouble", "#meter-0 .actions")


def test_placement(build, visit):
    house = build(values=SEVEN)
    page = look(visit, house, 400, 740)
    page.locator("#placing-0 > summary").click()
    page.locator("#place-0").click()
    expect(page.locator("#placement-0 .count")).to_have_text(re.compile(r"^[3-9] of "))
    page.evaluate("say('')")
    still(page, {"#placement-0 .count": ["9 of 12 answered, 108 s left"]})
    save(page, "placement", "#place-0", first="#placing-0")
