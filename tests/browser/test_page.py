"""The page in a browser, from the released program, a simulated meter and a broker.

    python3 -m venv target/browser
    target/browser/bin/pip install -r tests/browser/requirements.txt
    cargo build --release && cargo build --release --example broker
    target/browser/bin/pytest tests/browser

The tests use Debian's chromium, or the browser that CHROMIUM names. They leave pictures in
target/browser/pictures for people to look at. Every wait is for something that happens on the page.
KAMSTRUP2MQTT and KAMSTRUP2MQTT_BROKER name other binaries.
"""

import json
import os
import re
import sqlite3

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from conftest import SOON
from house import PLANTED, PREFIX, PROGRAM, ROOT, House, Ingress, Process, plug_in

PICTURES = ROOT / "target/browser/pictures"
SIZES = [360, 768, 1440]
MODES = ["light", "dark"]

# All registers take two minutes, and more if some requests get no answer.
LONG = 300_000

@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("house"))
    yield house
    house.end()


@pytest.fixture
def ingress(house):
    """Home Assistant in front of the page. It ends after the pages that it shows."""
    ingress = Ingress(house.url)
    yield ingress
    ingress.end()


def is_live(page):
    expect(page.locator("#live")).to_be_visible()


def is_read(page):
    expect(page.locator("#meter-0 .values div")).to_have_count(8)


def polls(page):
    """The number of today's polls on the page."""
    return int(page.locator("#line-0 dd").first.text_content())


def expect_polls(page, more_than):
    page.wait_for_function(
        "before => Number(document.querySelector('#line-0 dd').textContent) > before",
        arg=more_than,
        timeout=SOON,
    )


def open_all(page):
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")


def no_serious_fault(page):
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    words = [f"{one['id']}: {one['nodes'][0]['html']}" for one in serious]
    assert not serious, "\n".join(words)


def fits(page):
    """Checks that nothing is wider than the screen."""
    wide, screen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= screen


def nothing_sticks_out(page):
    """Checks that no value is wider than its tile."""
    out = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)"
    assert page.locator(".values div").evaluate_all(out) == []


def is_in_view(page):
    """Checks that state, last reading and values are visible without scrolling."""
    for part in [".badge", ".last", ".values"]:
        box = page.locator(f"#meter-0 {part}").first.bounding_box()
        assert box["y"] + box["height"] <= page.viewport_size["height"], part


def icon(page):
    return page.locator("#icon").get_attribute("href")


def picture(page, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", SIZES)
def test_first_view(house, visit, width, mode):
    page = visit(house.url, viewport={"width": width, "height": 900}, color_scheme=mode)
    is_live(page)
    is_read(page)
    expect(page.locator("#meter-0 .badge")).to_contain_text("OK")
    expect(page).to_have_title("Heat meter – kamstrup2mqtt")
    assert icon(page) == "icon.svg"
    expect(page.locator("#meter-0")).to_contain_text("Next reading in")
    expect(page.locator("#meter-0 .values")).to_contain_text("kWh")
    expect(page.locator("#setup")).to_contain_text("Connected to 127.0.0.1")
    # Home Assistant's address is not configured.
    expect(page.locator("#statistics")).to_have_count(0)
    fits(page)
    no_serious_fault(page)
    picture(page, f"first-view-{width}-{mode}")
    open_all(page)
    fits(page)
    no_serious_fault(page)
    picture(page, f"all-open-{width}-{mode}")


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("nl-NL", "Nu uitlezen"),
        ("da-DK", "Aflæs nu"),
        ("sv-SE", "Läs av nu"),
        ("de-AT", "Jetzt auslesen"),
        ("fr-FR", "Read now"),
    ],
)
def test_languages(house, visit, locale, words):
    page = visit(house.url, locale=locale, viewport={"width": 360, "height": 740})
    is_live(page)
    expect(page.locator("#read-0")).to_have_text(words)
    is_read(page)
    nothing_sticks_out(page)
    is_in_view(page)
    open_all(page)
    fits(page)
    no_serious_fault(page)
    # Updates are in the same language.
    with page.expect_response("**/part*"):
        page.evaluate("refresh()")
    expect(page.locator("#read-0")).to_have_text(words)


def test_no_row_of_tiles_has_a_gap(house, visit):
    page = visit(house.url)
    is_live(page)
    is_read(page)
    # Rows that do not end at the right edge, and last rows of one tile that is not the only one.
    gaps = """count => {
        const grid = document.querySelector(".values"), tile = grid.firstElementChild;
        grid.replaceChildren(...Array.from({ length: count }, () => tile.cloneNode(true)));
        const rows = new Map();
        for (const box of [...grid.children].map(one => one.getBoundingClientRect())) {
            rows.set(box.top, Math.max(rows.get(box.top) ?? 0, box.right));
        }
        const edge = grid.getBoundingClientRect().right;
        return [...rows.values()].filter(right => edge - right > 1).length;
    }"""
    page.evaluate("source.close()")
    for width in [360, 500, 768, 1000, 1440]:
        page.set_viewport_size({"width": width, "height": 900})
        for count in range(1, 14):
            assert page.evaluate(gaps, count) == 0, f"{count} tiles at {width}"


def test_several_meters_share_the_width(build, visit):
    house = build(names=["house", "garage", "barn"])
    page = visit(house.url, viewport={"width": 360, "height": 740})
    is_live(page)
    for number in range(3):
        expect(page.locator(f"#meter-{number} .values > div")).to_have_count(8)
    expect(page.locator("h2.name")).to_have_text(["house", "garage", "barn"])
    page.locator("#facts-1 > summary").click()
    expect(page.locator("#facts-1")).to_contain_text("Kamstrup Meter garage")
    page.locator("#facts-1 > summary").click()

    def rows():
        boxes = [page.locator(f"#meter-{number}").bounding_box() for number in range(3)]
        tops = sorted({box["y"] for box in boxes})
        return [[n for n, box in enumerate(boxes) if box["y"] == top] for top in tops]

    def show(width, mode="light"):
        page.set_viewport_size({"width": width, "height": 740})
        page.emulate_media(color_scheme=mode)
        fits(page)
        nothing_sticks_out(page)
        no_serious_fault(page)
        picture(page, f"three-meters-{width}-{mode}")

    for width, expected in [
        (360, [[0], [1], [2]]),
        (768, [[0], [1], [2]]),
        (1000, [[0, 1], [2]]),
        (1440, [[0, 1, 2]]),
    ]:
        show(width)
        assert rows() == expected, width
    # A phone shows the first meter; the links at the top show the state of all.
    house.meters[1].freeze()
    page.locator("#read-1").click()
    expect(page).to_have_title("✕ Trouble – Heat meter – kamstrup2mqtt", timeout=60_000)
    assert icon(page) == "icon-bad.svg"
    page.set_viewport_size({"width": 360, "height": 740})
    page.get_by_role("link", name=re.compile("garage.*Trouble")).click()
    expect(page.locator("#meter-1 h2")).to_be_in_viewport()
    for mode in MODES:
        for width in SIZES:
            show(width, mode)


def test_a_page_in_the_background_shows_trouble(build, visit):
    house = build()
    page = visit("about:blank")
    page.clock.install()
    page.goto(house.url)
    is_live(page)
    is_read(page)
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { get: () => true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    expect(page.locator("#live")).to_be_hidden()
    house.meter.freeze()
    visitor = visit(house.url)
    visitor.locator("#read-0").click()
    expect(visitor).to_have_title(re.compile("^✕ Trouble"), timeout=60_000)
    expect(page).to_have_title("Heat meter – kamstrup2mqtt")
    page.clock.run_for(60_000)
    expect(page).to_have_title("✕ Trouble – Heat meter – kamstrup2mqtt")
    assert icon(page) == "icon-bad.svg"
    house.program.end()
    page.clock.run_for(60_000)
    expect(page).to_have_title("No connection – Heat meter – kamstrup2mqtt")
    # The browser logs the failed requests.
    assert all("net::ERR_" in complaint for complaint in visit.complaints)
    visit.complaints.clear()


def test_all_open_pages_show_a_poll(house, visit):
    one, other = visit(house.url), visit(house.url)
    for page in (one, other):
        is_live(page)
        is_read(page)
    before = polls(one)
    # What is open stays open, and what has the focus keeps it.
    other.locator("#line-0 > summary").click()
    other.locator("#read-0").focus()
    one.locator("#read-0").click()
    expect(one.locator("#said")).to_have_text("Request sent.")
    for page in (one, other):
        expect_polls(page, before)
        # Two readings are enough for charts.
        for chart in ["power", "flow", "temperatures"]:
            expect(page.locator(f"#{chart}-0 svg.chart")).to_be_visible()
    expect(other.locator("#line-0")).to_have_attribute("open", "")
    expect(other.locator("#read-0")).to_be_focused()


def test_ages_grow_by_themselves(house, visit):
    page = visit(house.url)
    is_live(page)
    is_read(page)
    age = page.locator("#meter-0 .last [data-age]").first
    before = age.text_content()
    expect(age).not_to_have_text(before)


def test_keyboard(house, visit):
    page = visit(house.url)
    is_live(page)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#read-0")).to_be_focused()


def test_placement_aid(house, visit):
    page = visit(house.url, viewport={"width": 360, "height": 800})
    is_live(page)
    is_read(page)
    page.locator("#placing-0 > summary").click()
    page.locator("#place-0").click()
    box = page.locator("#placement-0")
    expect(box).to_have_class("placement hit")
    expect(box.locator(".said")).to_have_text("Answered")
    expect(box.locator(".count")).to_have_text(re.compile(r"^[3-9] of \d+ answered, \d+ s left$"))
    expect(page.locator("#sound-0")).not_to_be_checked()
    page.locator("#sound-0").check()
    no_serious_fault(page)
    picture(page, "placement-hit-360-light")
    house.meter.freeze()
    try:
        expect(box).to_have_class("placement miss")
        expect(box.locator(".said")).to_have_text("No answer")
        no_serious_fault(page)
        picture(page, "placement-miss-360-light")
    finally:
        house.meter.thaw()
    expect(box).to_have_class("placement hit")
    expect(page.locator("#sound-0")).to_be_checked()
    page.locator("#place-0").click()
    expect(page.locator("#placing-0")).to_contain_text("Last time")
    expect(page.locator("#place-0")).to_have_text("Start placing")
    # Reading continues.
    before = polls(page)
    page.locator("#read-0").click()
    expect_polls(page, before)


def test_search_for_registers(house, visit):
    page = visit(house.url)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    is_live(page)
    is_read(page)
    page.locator("#scanning-0 > summary").click()
    page.locator("#look-0").click()
    expect(page.locator("#look-0")).to_have_text("Stop")
    expect(page.locator("#scan-0 .count")).to_have_text(re.compile(r"^[1-9]\d* of 1400 registers checked"))
    page.locator("#look-0").click()
    expect(page.locator("#look-0")).to_have_text("Start search")
    page.locator("#look-0").click()
    expect(page.locator("#found-0")).to_contain_text("Energy")
    picture(page, "search-768-light")
    expect(page.locator("#parameters-0")).to_contain_text("energy", timeout=LONG)
    expect(page.locator("#scan-0 .count")).to_have_text(
        re.compile(r"^1400 of 1400 registers checked, \d+ found$"), timeout=LONG
    )
    expect(page.locator("#scanning-0")).to_have_attribute("open", "")
    no_serious_fault(page)
    picture(page, "found-768-light")
    page.locator("#copy-parameters-0").click()
    expect(page.locator("#said")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"^ *parameters:\n *- energy ", copied, re.MULTILINE), copied


@pytest.fixture
def plugged_in(tmp_path):
    """A machine with a head that has a meter, and another one without. They outlive the page."""
    meter = Process(PROGRAM, "simulate", "--model", "403", "--pty")
    root = tmp_path / "machine"
    port = plug_in(root, "ttyUSB0", meter.wait_for(r"(/dev/pts/\d+)")[1])
    near, far = os.openpty()
    silent = plug_in(root, "ttyUSB1", os.ttyname(far))
    yield root, port, silent
    os.close(near)
    os.close(far)
    meter.end()


@pytest.mark.parametrize("script", [True, False])
def test_find_my_meter(plugged_in, build, visit, script):
    root, port, silent = plugged_in
    page = visit(build(root=root).url, java_script_enabled=script)
    page.locator("#ports-head").click()
    if script:
        is_live(page)
        page.locator("#find").click()
    else:
        page.locator("#find").click()
    rows = page.locator("#find-ports > li")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text(str(port))
    expect(rows.nth(0)).to_contain_text("will be asked")
    if script:
        no_serious_fault(page)
        fits(page)
        picture(page, "find-768-light")
    page.locator("#find-start").click()

    def expect_words(locator, words):
        """Without the script, the visitor reloads the page."""
        for _ in range(SOON // 250):
            if script or words in (locator.text_content() or ""):
                break
            page.wait_for_timeout(250)
            page.reload()
        expect(locator).to_contain_text(words)

    expect_words(rows.nth(0), ", serial number ")
    expect(page.locator("#port-lines-0")).to_contain_text(f"com_port: {port}")
    # Stopped, the search says nothing about a port that it did not ask.
    page.locator("#find-stop").click()
    expect_words(rows.nth(1), "was not asked")
    expect(page.locator("#find")).to_have_text("List the ports again")
    expect(page.locator("#setup")).not_to_contain_text("No meter answered")
    if script:
        no_serious_fault(page)
        picture(page, "find-stopped-768-light")


def test_log_filter(house, visit):
    page = visit(house.url)
    is_live(page)
    is_read(page)
    lines = page.locator("#lines span")
    expect(lines.filter(has_text=" INFO ").first).to_be_visible()
    page.locator("#level").select_option("error")
    expect(lines.filter(has_text=" INFO ")).to_have_count(0)
    assert "level=error" in page.url
    page.locator("#level").select_option("all")
    expect(lines.filter(has_text=" INFO ").first).to_be_visible()


def test_copy_for_a_bug_report(house, visit):
    page = visit(house.url)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    is_live(page)
    is_read(page)
    page.locator("#copy-report").click()
    expect(page.locator("#said")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("kamstrup2mqtt ")
    assert "mqtt.password: ***" in copied
    assert " INFO " in copied
    assert PLANTED not in copied


def test_the_secret_is_nowhere(house):
    for path in ["", "part", "log", "metrics", "api/v1/state", "script.js", "ready"]:
        assert PLANTED not in house.get(path), path


def test_others_cannot_press_buttons(house):
    for path in ["read", "placement", "placement/stop", "scan", "scan/stop"]:
        assert house.post(path) == 403, path
        assert house.post(path, **{"Sec-Fetch-Site": "cross-site"}) == 403, path
    assert house.post("scan/stop", **{"Sec-Fetch-Site": "same-origin"}) == 303


@pytest.mark.parametrize("width", [360, 1440])
def test_readings_and_battery(build, visit, width):
    """What readings cost. The counts of a day survive a restart of the program."""
    first = build()
    page = visit(first.url, viewport={"width": width, "height": 900})
    is_read(page)
    page.locator("#battery-0-head").click()
    readings = lambda: page.locator("#used-battery-0 tbody tr").first.locator("td")
    expect(readings()).to_have_text(["1", "1"])
    expect(page.locator("#battery-0")).to_contain_text("at most one reading per hour")
    expect(page.locator("#battery-0")).to_contain_text(re.compile(r"Counted since \d{4}-\d\d-"))
    # One reading is too little.
    expect(page.locator("#intervals-0")).to_have_count(0)
    state = json.loads(first.get("api/v1/state"))["meters"][0]["battery"]
    before = state["today"]["bytes_received"]
    assert before > 100 and state["survives_restart"]
    page.context.close()
    first.end()
    with sqlite3.connect(first.folder / "state/history.db") as database:
        rows = database.execute("SELECT count(*) FROM usage").fetchone()
    database.close()
    assert rows == (1,)
    second = build()
    page = visit(second.url, viewport={"width": width, "height": 900})
    is_read(page)
    page.locator("#battery-0-head").click()
    expect(readings()).to_have_text(["2", "2"])
    state = json.loads(second.get("api/v1/state"))["meters"][0]["battery"]
    assert state["today"]["bytes_received"] > before
    metrics = second.get("metrics")
    assert re.search(r'usage_polls\{meter="[^"]+",period="30_days"\} 2\n', metrics), metrics
    fits(page)
    no_serious_fault(page)
    picture(page, f"battery-{width}")


def test_without_script(house, visit):
    page = visit(house.url, java_script_enabled=False)
    is_read(page)
    expect(page.locator("#copy-report")).to_be_hidden()
    expect(page.get_by_text("Reload", exact=True)).to_be_visible()
    before = polls(page)
    with page.expect_navigation(url=house.url):
        page.locator("#read-0").click()
    page.locator("#level").select_option("warn")
    page.locator("#filter-now").click()
    page.wait_for_url("**/?level=warn#log")
    expect(page.locator("#level")).to_have_value("warn")
    # A page with the script shows it.
    expect_polls(visit(house.url), before)


@pytest.mark.parametrize("script", [True, False])
def test_on_another_machine_the_buttons_need_the_token(build, visit, script):
    token = "correct horse"
    house = build(token=token)
    # As if through a proxy on this machine.
    far = {"X-Forwarded-For": "192.168.1.9"}
    is_read(visit(house.url))
    page = visit(house.url, java_script_enabled=script, extra_http_headers=far)
    is_read(page)
    if script:
        is_live(page)
        no_serious_fault(page)
        fits(page)
    else:
        page.locator("#read-0").click()
        expect(page.get_by_text("enter the token first")).to_be_visible()
        # Chromium reports each 401.
        visit.complaints.clear()
    page.locator("#token").fill(token)
    page.locator("#token-enter").click()
    expect(page.locator("#meter-0")).to_be_visible()
    expect(page.locator("#access")).to_have_count(0)
    before = polls(page)
    page.locator("#read-0").click()
    expect_polls(visit(house.url), before)
    assert house.post("read", **far, **{"Sec-Fetch-Site": "same-origin"}) == 401


@pytest.mark.parametrize("name", ["127.0.0.1", "homeassistant.local"])
def test_behind_home_assistant(ingress, visit, name):
    """Under a path that the page does not know, in a frame, and over plain HTTP."""
    outer = visit(f"http://{name}:{ingress.port}/frame")
    page = outer.frame_locator("iframe")
    expect(page.locator("#live")).to_be_visible()
    expect(page.locator("#meter-0 .values div")).to_have_count(8)
    for link in page.locator("[href], [src], [action]").all():
        for attribute in ("href", "src", "action"):
            address = link.get_attribute(attribute)
            assert address is None or not re.match(r"[a-z]+:|/", address), address
    count = page.locator("#line-0 dd").first
    before = int(count.text_content())
    page.locator("#read-0").click()
    expect(page.locator("#said")).to_have_text("Request sent.")
    # Only the event stream reports it.
    expect(count).to_have_text(str(before + 1))
    page.locator("#placing-0 > summary").click()
    page.locator("#place-0").click()
    expect(page.locator("#placement-0")).to_have_class("placement hit")
    page.locator("#place-0").click()
    expect(page.locator("#place-0")).to_have_text("Start placing")
    page.locator("#scanning-0 > summary").click()
    page.locator("#look-0").click()
    expect(page.locator("#look-0")).to_have_text("Stop")
    page.locator("#look-0").click()
    expect(page.locator("#look-0")).to_have_text("Start search")
    page.locator("#level").select_option("error")
    expect(page.locator("#lines span").filter(has_text=" INFO ")).to_have_count(0)
    page.locator("#copy-report").click()
    expect(page.locator("#said")).to_have_text("Copied.")
    assert not ingress.strays


def test_behind_home_assistant_without_script(ingress, visit):
    url = f"http://homeassistant.local:{ingress.port}{PREFIX}/"
    page = visit(url, java_script_enabled=False)

    def press(button):
        # A refusal would be at the button's own address.
        with page.expect_navigation(url=url):
            page.locator(f"#{button}-0").click()

    press("read")
    for section, button in [("placing", "place"), ("scanning", "look")]:
        page.locator(f"#{section}-0 > summary").click()
        press(button)
        # Once it has begun, it is open and can be stopped.
        for _ in range(200):
            if page.locator(f"#{section}-0").get_attribute("open") is not None:
                break
            page.goto(url)
        expect(page.locator(f"#{button}-0")).to_have_text("Stop")
        press(button)
    assert not ingress.strays


def test_the_program_ends(build, visit):
    house = build()
    page = visit(house.url)
    is_live(page)
    house.program.end()
    expect(page.locator("#live")).to_be_hidden()
    expect(page.locator("#said")).to_have_text("No connection to kamstrup2mqtt. Trying again.")
    expect(page).to_have_title("No connection – Heat meter – kamstrup2mqtt")
    # The browser logs the failed requests.
    assert all("net::ERR_" in complaint for complaint in visit.complaints)
    visit.complaints.clear()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", SIZES)
def test_broken_configuration(build, visit, width, mode):
    house = build(options={"port": "COM3", "speed": 1})
    page = visit(house.url, viewport={"width": width, "height": 700}, color_scheme=mode)
    is_live(page)
    expect(page.locator("#problem")).to_contain_text("COM3")
    expect(page.locator("#odd")).to_contain_text("speed")
    # The list of ports helps to fix the configuration.
    expect(page.locator("#ports")).to_have_attribute("open", "")
    fits(page)
    no_serious_fault(page)
    picture(page, f"broken-configuration-{width}-{mode}")


def test_a_configuration_is_fixed(build, visit):
    house = build(interval="often")
    page = visit(house.url)
    is_live(page)
    expect(page.locator("#problem")).to_contain_text("house.yaml, line")
    expect(page.locator("#problem")).to_contain_text("often")
    assert PLANTED not in page.content()
    house.config.write_text(house.config.read_text().replace("often", "1h"))
    is_read(page)
    expect(page.locator("#problem")).to_have_count(0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", SIZES)
def test_meter_silent(build, visit, width, mode):
    house = build()
    page = visit(house.url, viewport={"width": width, "height": 740}, color_scheme=mode)
    is_live(page)
    is_read(page)
    badge = page.locator("#meter-0 > .row .badge")
    house.meter.freeze()
    page.locator("#read-0").click()
    expect(badge).to_contain_text("Trouble", timeout=60_000)
    expect(page.locator("#said")).to_contain_text("Trouble")
    expect(page.locator("#meter-0")).to_contain_text("The meter does not answer")
    expect(page).to_have_title("✕ Trouble – Heat meter – kamstrup2mqtt")
    assert icon(page) == "icon-bad.svg"
    # The last values stay, with their age.
    is_read(page)
    expect(page.locator("#meter-0")).to_contain_text(re.compile(r"These values are \d+ s old"))
    is_in_view(page)
    fits(page)
    no_serious_fault(page)
    picture(page, f"meter-silent-{width}-{mode}")
    house.meter.thaw()
    page.locator("#read-0").click()
    expect(badge).to_contain_text("OK", timeout=60_000)
    expect(page).to_have_title("Heat meter – kamstrup2mqtt")
    assert icon(page) == "icon.svg"


def test_readings_cannot_be_kept(build, visit):
    house = build(state="/proc/nowhere")
    page = visit(house.url)
    is_live(page)
    expect(page.locator("#memory")).to_contain_text("Readings are not stored: /proc/nowhere")
    expect(page.locator("#meter-0")).to_contain_text("no charts while readings")
    # Everything else works.
    is_read(page)
    no_serious_fault(page)
