"""Gaps in Home Assistant's statistics: what the page shows, writes and takes back."""

import os
import re
import sqlite3
import subprocess
from contextlib import closing
from datetime import datetime

import pytest
from playwright.sync_api import expect

from home_assistant import HomeAssistant
from house import PLANTED, PROGRAM
from past import HOUR, ZONE, remember
from test_page import MODES, fits, is_live, is_read, no_serious_fault, picture

# In the first minute of an hour, the program waits before it writes.
WRITTEN = 90_000
# Hours before the last one. Of the first gap, Home Assistant has no rows. In the rows of the second
# one, the hour before is repeated.
MISSING, REPEATED = range(28, 31), range(5, 9)
# What Home Assistant had not counted.
BASE = 1_000.5


@pytest.fixture
def meet():
    """Starts a Home Assistant for a test."""
    started = []

    def meet_home_assistant(token=PLANTED, **kwargs):
        started.append(HomeAssistant(token, **kwargs))
        return started[-1]

    yield meet_home_assistant
    for one in started:
        one.end()


def live_in(build, visit, home_assistant, **kwargs):
    """A house with two days of readings, and an outage in the statistics of Home Assistant."""
    house = build(home_assistant=home_assistant.url, **kwargs)
    is_read(visit(house.url))
    state = house.folder / "state"
    remember(state, since=48 * HOUR)
    with closing(sqlite3.connect(state / "history.db", timeout=30)) as database:
        known = database.execute(
            "SELECT start / 1000, CAST(last AS INTEGER) FROM hour JOIN series ON id = series "
            "WHERE parameter = 'energy' ORDER BY start"
        ).fetchall()
    rows = {start: (counter, counter - BASE) for start, counter in known}
    hours = list(rows)
    for ago in MISSING:
        del rows[hours[-1 - ago]]
    for ago in REPEATED:
        rows[hours[-1 - ago]] = rows[hours[-1 - REPEATED.stop]]
    home_assistant.rows = rows
    house.true = {start: (counter, counter - BASE) for start, counter in known}
    house.gaps = [[hours[-1 - ago] for ago in reversed(gap)] for gap in (MISSING, REPEATED)]
    return house


def lines(house, home_assistant, with_sums):
    """The gaps as the page shows them."""

    def line(hours):
        first, last = hours[0], hours[-1]
        times = [datetime.fromtimestamp(it, ZONE) for it in (first, last + HOUR)]
        sums = [f"{house.true[it][1]:g}" for it in (first, last)] if with_sums else []
        return [
            home_assistant.entity,
            str(len(hours)),
            *(f"{it:%Y-%m-%d %H:%M}" for it in times),
            *([f"{sums[0]} – {sums[1]} kWh"] if sums else []),
        ]

    return [line(hours) for hours in house.gaps]


def shown(page):
    rows = page.locator("#statistics-rows tbody tr").all()
    return [row.locator("th, td").all_text_contents() for row in rows]


def said(page):
    return page.locator("#statistics-said")


def press(page, name):
    page.locator(f"#statistics-{name}").click()


def buttons(page):
    return page.locator("#statistics button")


LOOK, FILL, UNDO = "Look for gaps", "Fill these gaps", "Undo everything that was filled"


def look_at(page, name):
    """Checks the section on a phone and on a screen."""
    for width, mode in [(360, "dark"), (1280, "light")]:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=mode)
        fits(page)
        picture(page, f"statistics-{name}-{width}-{mode}")
    no_serious_fault(page)


def nothing_is_broken(page):
    """Checks that each time and each sum is on one line, however narrow the screen is."""
    broken = """all => {
        const range = document.createRange();
        const parts = one => (range.selectNodeContents(one), range.getClientRects().length);
        return all.filter(one => parts(one) > 1).map(one => one.innerText);
    }"""
    for width in (360, 768, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        fits(page)
        assert page.locator("#statistics-rows td").evaluate_all(broken) == [], width


def test_gaps_are_shown_and_filled_and_undone(build, visit, meet):
    home_assistant = meet()
    house = live_in(build, visit, home_assistant)
    before = dict(home_assistant.rows)
    page = visit(house.url)
    is_live(page)
    expect(buttons(page)).to_have_text([LOOK, UNDO])
    look_at(page, "first")

    press(page, "look")
    expect(said(page)).to_have_text("These hours would be written. Nothing is written yet.")
    assert shown(page) == lines(house, home_assistant, with_sums=True)
    expect(buttons(page)).to_have_text([FILL, LOOK, UNDO])
    nothing_is_broken(page)
    look_at(page, "found")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 800})
    no_serious_fault(page)
    for locale in ["nl-NL", "de-DE"]:
        nothing_is_broken(visit(house.url, locale=locale))
    assert home_assistant.rows == before and not home_assistant.written()

    press(page, "fill")
    expect(said(page)).to_have_text("These hours were written.", timeout=WRITTEN)
    assert shown(page) == lines(house, home_assistant, with_sums=True)
    expect(buttons(page)).to_have_text([LOOK, UNDO])
    look_at(page, "filled")
    assert home_assistant.rows == house.true
    assert len(home_assistant.written()) == len(house.gaps)

    # Another look finds nothing, and there is nothing to fill.
    press(page, "look")
    expect(said(page)).to_have_text("There are no gaps that stored readings can fill.")
    expect(buttons(page)).to_have_text([LOOK, UNDO])

    press(page, "undo")
    expect(said(page)).to_have_text("These hours were restored.", timeout=WRITTEN)
    # The newest first.
    assert shown(page) == lines(house, home_assistant, with_sums=False)[::-1]
    look_at(page, "undone")
    missing, repeated = house.gaps
    for hour in repeated:
        assert home_assistant.rows[hour] == before[hour]
    # No program can delete rows. So they repeat the hour before.
    for hour in missing:
        assert home_assistant.rows[hour] == before[missing[0] - HOUR]
    assert {**home_assistant.rows, **before} == home_assistant.rows

    press(page, "look")
    expect(page.locator("#statistics-remarks")).to_contain_text(
        "Left gaps alone that an undo has brought back: 2."
    )
    press(page, "undo")
    expect(said(page)).to_have_text("There was nothing to undo.")
    assert not home_assistant.refused
    assert PLANTED not in page.content()
    assert PLANTED not in house.get("api/v1/state")


def test_a_wait_can_be_stopped(build, visit, meet):
    home_assistant = meet()
    home_assistant.compiles.clear()
    house = live_in(build, visit, home_assistant)
    page, other = visit(house.url), visit(house.url)
    for one in (page, other):
        is_live(one)
    press(page, "look")
    for one in (page, other):
        expect(said(one)).to_have_text("Waiting for Home Assistant. This takes up to 5 minutes.")
        expect(buttons(one)).to_have_text(["Stop"])
    look_at(page, "waiting")
    # Who has scrolled away sees how it ends.
    page.locator("h1").scroll_into_view_if_needed()
    # A page that was loaded before cannot begin another work.
    assert house.post("statistics/undo", **{"Sec-Fetch-Site": "same-origin"}) == 409
    press(other, "stop")
    expect(page.locator("#said")).to_have_text("Stopped. Nothing was written.")
    expect(page.locator("#said")).not_to_have_class("unseen")
    for one in (page, other):
        expect(said(one)).to_have_text("Stopped. Nothing was written.")
        expect(buttons(one)).to_have_text([LOOK, UNDO])
    assert not home_assistant.written()
    # Nothing was shown, so nothing can be filled.
    assert house.post("statistics/fill", **{"Sec-Fetch-Site": "same-origin"}) == 409


def test_sums_that_a_command_has_raised_are_lowered(build, visit, meet):
    """Home Assistant's sum began again at 0, which only the command repairs."""
    home_assistant = meet()
    house = live_in(build, visit, home_assistant)
    hours = list(house.true)
    outage, after = hours[10:36], hours[36:]
    begun = house.true[after[0]][1]
    rows = {hour: house.true[hour] for hour in hours[:10]}
    rows |= {hour: (house.true[hour][0], house.true[hour][1] - begun) for hour in after}
    home_assistant.rows = dict(rows)
    page = visit(house.url)
    is_live(page)
    press(page, "look")
    remarks = page.locator("#statistics-remarks")
    expect(remarks).to_contain_text("Home Assistant's sums before and after do not match.")
    expect(buttons(page)).to_have_text([LOOK, UNDO])

    file = house.folder / "state/history.db"
    command = [PROGRAM, "statistics", "--full", "--config", house.config, "--file", file]
    environment = {**os.environ, "TZ": str(ZONE)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    assert home_assistant.rows == house.true

    press(page, "undo")
    expect(remarks).to_contain_text("Lowered all sums from", timeout=WRITTEN)
    look_at(page, "lowered")
    assert {hour: home_assistant.rows[hour] for hour in rows} == rows
    # No program can delete rows. So they repeat the hour before.
    assert {home_assistant.rows[hour] for hour in outage} == {rows[hours[9]]}
    assert not home_assistant.refused


def demote(home_assistant):
    home_assistant.is_administrator = False


def refuse_the_token(home_assistant):
    home_assistant.token = "another one"


def restart(home_assistant):
    home_assistant.status = 502


def test_the_page_says_why_there_is_no_answer(build, visit, meet):
    home_assistant = meet()
    house = build(home_assistant=home_assistant.url)
    page = visit(house.url)
    is_live(page)
    is_read(page)
    trouble = page.locator("#statistics .complaint")
    # Each of these happens before the one above it.
    for go_wrong, words in [
        (demote, "The token does not belong to an administrator."),
        (refuse_the_token, "Home Assistant does not accept the token."),
        (restart, "Home Assistant is starting, restarting or stopped: "),
        (HomeAssistant.end, "Cannot connect to Home Assistant at http://127.0.0.1:"),
    ]:
        go_wrong(home_assistant)
        page.locator("#statistics").scroll_into_view_if_needed()
        press(page, "look")
        expect(trouble).to_have_text(re.compile(f"^{words}"))
        # It is announced, too. As it is in view, the announcement covers nothing.
        expect(page.locator("#said")).to_have_text(re.compile(f"^{words}"))
        expect(page.locator("#said")).to_have_class("unseen")
        expect(said(page)).to_have_count(0)
        expect(buttons(page)).to_have_text([LOOK, UNDO])
    look_at(page, "trouble")
    assert PLANTED not in page.content()


@pytest.mark.parametrize("script", [True, False])
def test_on_another_machine_the_buttons_need_the_token(build, visit, meet, script):
    token = "correct horse"
    home_assistant = meet()
    house = live_in(build, visit, home_assistant, token=token)
    # As if through a proxy on this machine.
    far = {"X-Forwarded-For": "192.168.1.9"}
    page = visit(house.url, java_script_enabled=script, extra_http_headers=far)
    press(page, "look")
    words = "enter the token first"
    expect(page.locator("#said" if script else "body")).to_contain_text(words)
    # Chromium reports each 401.
    visit.complaints.clear()
    for path in ("look", "fill", "undo", "stop"):
        headers = {**far, "Sec-Fetch-Site": "same-origin"}
        assert house.post(f"statistics/{path}", **headers) == 401
    assert not home_assistant.asked
    page.locator("#token").fill(token)
    page.locator("#token-enter").click()
    expect(page.locator("#access")).to_have_count(0)

    def done(words):
        """Without the script, the visitor reloads the page."""
        for _ in range(WRITTEN // 250):
            if script or said(page).all_text_contents() == [words]:
                break
            page.wait_for_timeout(250)
            page.goto(house.url)
        expect(said(page)).to_have_text(words, timeout=WRITTEN)

    press(page, "look")
    done("These hours would be written. Nothing is written yet.")
    press(page, "fill")
    done("These hours were written.")
    assert home_assistant.rows == house.true


def test_keyboard_and_names(build, visit, meet):
    home_assistant = meet()
    house = live_in(build, visit, home_assistant)
    page = visit(house.url, viewport={"width": 1280, "height": 900})
    is_live(page)
    part = page.get_by_role("region", name="Gaps in Home Assistant's statistics", exact=True)
    named = lambda name: part.get_by_role("button", name=name, exact=True)
    home_assistant.compiles.clear()
    named(LOOK).focus()
    page.keyboard.press("Enter")
    # The button is there no longer. A second press of the key stops nothing, and fills nothing.
    expect(named("Stop")).to_be_visible()
    expect(part).to_be_focused()
    page.keyboard.press("Tab")
    expect(named("Stop")).to_be_focused()
    page.keyboard.press("Enter")
    expect(named(LOOK)).to_be_visible()
    expect(part).to_be_focused()
    home_assistant.compiles.set()
    page.keyboard.press("Tab")
    expect(named(LOOK)).to_be_focused()
    page.keyboard.press("Enter")
    words = "These hours would be written. Nothing is written yet."
    expect(page.locator("#said")).to_have_text(words)
    expect(named(LOOK)).to_be_visible()
    named(LOOK).focus()
    page.keyboard.press("Shift+Tab")
    expect(named(FILL)).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(part.get_by_role("region", name=words)).to_be_focused()
    heads = part.get_by_role("columnheader")
    expect(heads).to_have_text(["Entity", "Hours", "From", "To", "Sum in Home Assistant"])
    expect(part.get_by_role("rowheader")).to_have_text([home_assistant.entity] * 2)
    for name in (FILL, LOOK, UNDO):
        page.keyboard.press("Tab")
        expect(named(name)).to_be_focused()
    assert not home_assistant.written()
