"""The charts: what they show, to whom, and the switch between their ranges."""

import re
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import expect

from house import House
from past import HOUR, remember
from test_page import MODES, fits, is_live, is_read, no_serious_fault, open_all, picture

RANGES = {"24h": "24 hours", "7d": "7 days", "30d": "30 days", "12m": "12 months"}
CHARTS = ["used", "power", "flow", "temperatures"]
TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d$")


def fill(house, state, visit, since=None):
    """From now on its program has run for two years, or for some seconds."""
    is_read(visit(house.url))
    remember(state, since)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("past")


@pytest.fixture(scope="module")
def houses():
    houses = {}
    yield houses
    for house in houses.values():
        house.end()


@pytest.fixture
def house(folder, houses, visit):
    if "old" not in houses:
        houses["old"] = House(folder, state=folder)
        fill(houses["old"], folder, visit)
    return houses["old"]


def look(visit, house, range_key="24h", **options):
    page = visit(f"{house.url}?range={range_key}", **options)
    # What was drawn before there were readings is shown for some seconds.
    for _ in range(30):
        if page.locator("#used-0 .totals").count():
            break
        page.wait_for_timeout(1_000)
        page.reload()
    return page


def settled(page):
    """What the server sent first has been put in."""
    is_live(page)
    page.wait_for_function("() => sent.get('meter-0')")


def chart(page, name):
    return page.locator(f"#{name}-0")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", [360, 1440])
def test_ranges(house, visit, width, mode):
    page = look(visit, house, viewport={"width": width, "height": 900}, color_scheme=mode)
    settled(page)
    for key, words in RANGES.items():
        choice = page.locator(f"#range-{key}-0")
        choice.click()
        expect(choice).to_have_attribute("aria-current", "true")
        expect(page.locator(".ranges [aria-current]")).to_have_text([words])
        assert page.url.endswith(f"?range={key}")
        for name in CHARTS:
            expect(chart(page, name).locator("svg.chart")).to_be_visible()
        # Of longer ranges, the lowest and the highest values are shown as well.
        expect(chart(page, "temperatures").locator("path.band")).to_have_count(
            0 if key == "24h" else 2
        )
        totals = chart(page, "used").locator(".totals dd")
        for index in range(2):
            expect(totals.nth(index)).to_have_text(re.compile(r"^\d+ kWh$"))
        fits(page)
        no_serious_fault(page)
        chart(page, "power").locator(".field").hover(position={"x": 90, "y": 60})
        picture(page, f"charts-{key}-{width}-{mode}")
    open_all(page)
    fits(page)


def test_the_switch_keeps_the_focus(house, visit):
    page = look(visit, house)
    settled(page)
    page.evaluate("window.same = true")
    page.locator("#range-24h-0").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#range-7d-0")).to_have_attribute("aria-current", "true")
    expect(page.locator("#range-7d-0")).to_be_focused()
    expect(chart(page, "used").locator(".totals")).to_contain_text("The previous 7 days")
    expect(chart(page, "used").locator(".totals")).to_contain_text("Today so far")
    # What comes later is of the same range, and so is another filter of the log.
    with page.expect_response("**/part?range=7d"):
        page.evaluate("refresh()")
    with page.expect_response(re.compile(r"/part\?range=7d&level=warn$")):
        page.locator("#level").select_option("warn")
    assert page.evaluate("window.same"), "the page was loaded again"


def test_the_switch_without_script(house, visit):
    page = look(visit, house, java_script_enabled=False)
    page.locator("#level").select_option("warn")
    page.locator("#filter-now").click()
    page.wait_for_url("**/?level=warn#log")
    page.locator("#range-12m-0").click()
    page.wait_for_url("**/?range=12m&level=warn#charts-0")
    expect(page.locator("#range-12m-0")).to_have_attribute("aria-current", "true")
    expect(chart(page, "used").locator("figcaption")).to_contain_text("Energy per month")
    expect(page.locator("#level")).to_have_value("warn")
    page.locator("#filter-now").click()
    page.wait_for_url("**/?range=12m&level=warn#log")
    expect(page.locator(".at").first).to_be_hidden()
    # The table says the same.
    expect(chart(page, "power").locator("tbody tr")).to_have_count(13)


def test_arrow_keys(house, visit):
    page = look(visit, house)
    settled(page)
    power = chart(page, "power")
    slider, tip = power.locator(".at"), power.locator(".tip")
    # The chart comes after the table of the one before it.
    chart(page, "used").locator("summary").focus()
    page.keyboard.press("Tab")
    expect(slider).to_be_focused()
    expect(tip).to_be_visible()
    newest = tip.locator("strong").text_content()
    assert TIME.match(newest), newest
    page.keyboard.press("ArrowLeft")
    expect(tip.locator("strong")).not_to_have_text(newest)
    before = tip.locator("strong").text_content()
    value = tip.locator("span").text_content()
    assert before < newest and re.match(r"^\d+ W$", value), value
    expect(slider).to_have_attribute("aria-valuetext", f"{before}: {value}")
    expect(power.locator(".cursor")).to_be_visible()
    # The point stays while newer readings come.
    with page.expect_response("**/part*"):
        page.evaluate("sent.clear(); refresh()")
    expect(slider).to_be_focused()
    expect(tip.locator("strong")).to_have_text(before)
    page.keyboard.press("ArrowRight")
    expect(tip.locator("strong")).to_have_text(newest)
    page.keyboard.press("Home")
    expect(tip.locator("strong")).not_to_have_text(newest)
    assert tip.locator("strong").text_content() < before
    no_serious_fault(page)
    picture(page, "chart-keys-768-light")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.keyboard.press("End")
    expect(tip.locator("strong")).to_have_text(newest)
    page.keyboard.press("Tab")
    expect(tip).to_be_hidden()


def test_pointing(house, visit):
    page = look(visit, house, "7d")
    settled(page)
    temperatures = chart(page, "temperatures")
    field, tip = temperatures.locator(".field"), temperatures.locator(".tip")
    box = field.bounding_box()
    times = []
    for part in (0.02, 0.5, 0.98):
        field.hover(position={"x": box["width"] * part, "y": 70})
        expect(tip).to_be_visible()
        times.append(tip.locator("strong").text_content())
        lines = tip.locator("span").all_text_contents()
        assert lines[0].startswith("Supply ") and lines[1].startswith("Return "), lines
        assert re.search(r"^Supply \d+\.\d+ °C on average \(from \d", lines[0]), lines
        # It is within the chart.
        own = tip.bounding_box()
        assert own["x"] >= box["x"] - 1
        assert own["x"] + own["width"] <= box["x"] + box["width"] + 1
    assert times == sorted(set(times)), times
    used = chart(page, "used")
    used.locator(".field").hover(position={"x": 30, "y": 70})
    expect(tip).to_be_hidden()
    expect(used.locator(".tip span")).to_have_text(re.compile(r"^\d+ kWh$"))
    page.locator("h1").hover()
    expect(used.locator(".tip")).to_be_hidden()


def test_touching(house, visit):
    page = look(
        visit, house, viewport={"width": 360, "height": 800}, has_touch=True, is_mobile=True
    )
    settled(page)
    flow = chart(page, "flow")
    flow.locator(".field").tap(position={"x": 100, "y": 60})
    expect(flow.locator(".tip")).to_be_visible()
    expect(flow.locator(".tip strong")).to_have_text(TIME)
    fits(page)
    picture(page, "chart-touched-360-light")
    page.locator("h1").tap()
    expect(flow.locator(".tip")).to_be_hidden()


def test_an_hour_fills_the_chart(tmp_path, build, visit):
    """After some hours the curves have the whole width, and what is missing is said."""
    house = build(state=tmp_path)
    fill(house, tmp_path, visit, since=3 * HOUR)
    page = look(visit, house, viewport={"width": 360, "height": 800})
    settled(page)
    path = chart(page, "power").locator("path.one").get_attribute("d")
    places = [int(x) for x in re.findall(r"[ML](\d+) ", path)]
    assert places[0] == 0 and places[-1] > 9_000, path
    totals = chart(page, "used").locator(".totals dd")
    expect(totals.nth(0)).to_contain_text("only for the time shown: the other readings are missing")
    expect(totals.nth(1)).to_have_text("not known: readings are missing")
    picture(page, "charts-first-hours-360-light")
    page.locator("#range-12m-0").click()
    began = datetime.now() - timedelta(seconds=3 * HOUR)
    if began.date() == datetime.now().date():
        expect(page.locator("#meter-0")).to_contain_text("not enough readings for this range")
    else:
        # A year is drawn by days. In the first hours of a day, there are readings of two.
        expect(page.locator("#meter-0")).to_contain_text("Power, last 12 months")
    # And back.
    page.locator("#range-24h-0").click()
    expect(chart(page, "power")).to_be_visible()
