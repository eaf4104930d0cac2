"""What all tests of the page use: a browser, and houses with a page."""

import os

import pytest
from playwright.sync_api import expect, sync_playwright

from house import House

# The program reads a meter on request at the earliest ten seconds after the last poll.
SOON = 30_000

expect.set_options(timeout=SOON)


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        # Home Assistant's name does not resolve here. A browser trusts plain HTTP to this machine,
        # but not to that name.
        rules = "--host-resolver-rules=MAP homeassistant.local 127.0.0.1"
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=[rules, "--no-sandbox"],
        )
        yield browser
        browser.close()


@pytest.fixture
def build(tmp_path):
    """Starts a house of its own for a test. It ends after the pages that show it."""
    houses = []

    def build_house(**kwargs):
        houses.append(House(tmp_path, **kwargs))
        return houses[-1]

    yield build_house
    for house in houses:
        house.end()


@pytest.fixture
def visit(chromium, request):
    """Opens pages, and fails if one of them logs anything on its console."""
    contexts, complaints = [], []
    # The servers must outlive the pages.
    for name in {"build", "ingress"} & set(request.fixturenames):
        request.getfixturevalue(name)

    def open_page(url, **options):
        options.setdefault("locale", "en-GB")
        options.setdefault("viewport", {"width": 768, "height": 900})
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    open_page.complaints = complaints
    yield open_page
    for context in contexts:
        context.close()
    assert not complaints
