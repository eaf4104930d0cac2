"""From nothing to the first value on the broker, through the setup page alone.

The meter is at a pseudo-terminal, and the broker is Mosquitto with a password.
"""

import os
import subprocess

import pytest
from playwright.sync_api import expect

from house import PROGRAM, Process, free_port, plug_in
from test_page import PICTURES, fits, no_serious_fault

PASSWORD = 'right "horse": #1'
LANGUAGES = {"en-GB": "Start setup", "nl": "Instellen starten", "da": "Start opsætning",
             "sv": "Starta inställningen", "de": "Einrichtung starten"}


class EmptyMachine:
    """A meter, a broker that needs a login, and the program without a configuration."""

    def __init__(self, folder, listen="127.0.0.1:0", ports=()):
        self.folder, self.processes = folder, []
        self.state = folder / "state"
        self.state.mkdir()
        self.file = self.state / "config.yaml"
        meter = self.run(PROGRAM, "simulate", "--model", "403", "--pty")
        self.meter = meter.wait_for(r"(/dev/pts/\d+)")[1]
        self.root = folder / "machine"
        (self.root / "sys/class/tty").mkdir(parents=True)
        self.ports = [plug_in(self.root, f"ttyUSB{number}", port or self.meter)
                      for number, port in enumerate(ports)]
        self.port = free_port()
        users = folder / "users"
        subprocess.run(["mosquitto_passwd", "-b", "-c", users, "meter", PASSWORD], check=True,
                       capture_output=True)
        conf = folder / "mosquitto.conf"
        conf.write_text(f"user root\nlistener {self.port} 127.0.0.1\npassword_file {users}\n")
        broker = self.run("mosquitto", "-c", str(conf), "-v", stderr=subprocess.STDOUT)
        broker.wait_for("running")
        self.program = self.run(
            PROGRAM, "--listen", listen, cwd=folder,
            env={"STATE_DIRECTORY": str(self.state), "KAMSTRUP2MQTT_CONTAINER": "false",
                 "KAMSTRUP2MQTT_ROOT": str(self.root)},
        )
        self.url = self.program.wait_for(r"Open (http://\S+) to set")[1] + "/"

    def run(self, *arguments, **kwargs):
        process = Process(*arguments, **kwargs)
        self.processes.append(process)
        return process

    def listen(self, topic):
        """The next message on a topic, as another program receives it."""
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-u", "meter", "-P",
                   PASSWORD, "-t", topic, "-C", "1", "-W", "60"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def end(self):
        for process in reversed(self.processes):
            process.end()


@pytest.fixture
def machine(tmp_path):
    machine = EmptyMachine(tmp_path)
    yield machine
    machine.end()


@pytest.fixture
def two_heads(tmp_path):
    """A machine with a silent head and one that has a meter."""
    near, far = os.openpty()
    machine = EmptyMachine(tmp_path, ports=[None, os.ttyname(far)])
    yield machine
    machine.end()
    os.close(near)
    os.close(far)


def look(page, name):
    """Each screen has no fault of accessibility, fits, and leaves a picture."""
    if page.context.script:
        no_serious_fault(page)
        fits(page)
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"setup-{page.context.label}-{name}.png", full_page=True)


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("script", [True, False])
def test_the_page_alone_leads_to_the_first_value(machine, visit, width, script):
    options = {"viewport": {"width": width, "height": 900}, "java_script_enabled": script}
    page = visit(machine.url, **options)
    page.context.script, page.context.label = script, f"{width}{'' if script else '-plain'}"
    energy = machine.listen("kamstrup/energy")
    entity = machine.listen("homeassistant/sensor/kamstrup_energy/config")

    look(page, "1-welcome")
    page.locator("#begin").click()
    expect(page.locator("#head-form")).to_be_visible()
    look(page, "2-head")
    if page.locator("#other").count():
        page.locator("#other").check()
    # A mistake is explained at the field.
    page.locator("#address").fill("COM3")
    page.locator("#ask").click()
    expect(page.locator("#address-wrong")).to_contain_text("COM3")
    expect(page.locator("#address")).to_have_attribute("aria-invalid", "true")
    look(page, "3-mistake")
    page.locator("#address").fill(machine.meter)
    page.locator("#ask").click()
    expect(page.locator("#waiting")).to_contain_text(machine.meter)
    expect(page.locator("#broker-form")).to_be_visible()
    expect(page.locator(".works")).to_contain_text("7 of 7 values were read")
    if script:
        # A screen reader continues at the head of the new screen.
        expect(page.locator("#step-head")).to_be_focused()
    look(page, "4-broker")

    page.locator("#host").fill("127.0.0.1")
    page.locator("#port").fill(str(machine.port))
    page.locator("#username").fill("meter")
    page.locator("#password").fill("wrong")
    page.locator("#try").click()
    failed = page.locator(".complaint.bad")
    expect(failed).to_contain_text("\"Password\"")
    look(page, "5-wrong-password")
    assert page.locator("#password").input_value() == ""
    assert "wrong" not in page.locator("#broker-form").inner_html()
    page.locator("#password").fill(PASSWORD)
    page.locator("#try").click()
    expect(page.locator("#values-form")).to_be_visible()
    expect(page.locator(".works")).to_contain_text("accepts the login and the messages")
    look(page, "6-values")

    page.locator("input[value=flow]").uncheck()
    page.locator("#choose").click()
    expect(page.locator("#file")).to_contain_text("password: \"********\"")
    expect(page.locator("#file")).to_contain_text(machine.meter)
    expect(page.locator("#path")).to_have_text(str(machine.file))
    assert "horse" not in page.content()
    look(page, "7-file")
    assert not machine.file.exists()
    page.locator("#write").click()
    expect(page.locator("#meter-0")).to_be_visible()
    assert energy.communicate(timeout=60)[0].strip()
    assert '"unique_id"' in entity.communicate(timeout=60)[0]
    assert oct(machine.file.stat().st_mode & 0o777) == "0o640"
    assert "horse" not in "".join(machine.program.lines)


@pytest.mark.parametrize("script", [True, False])
def test_find_my_meter_chooses_its_port(two_heads, visit, script):
    page = visit(two_heads.url, viewport={"width": 768, "height": 900}, java_script_enabled=script)
    page.context.script, page.context.label = script, f"768{'' if script else '-plain'}"
    page.locator("#begin").click()
    meter, silent = two_heads.ports
    choices = page.locator("label.choice:not(.other)")
    expect(choices).to_have_count(2)
    expect(choices.first).to_contain_text("will be asked")
    expect(page.locator("#search")).to_have_text("Find my meter")
    # A port that is plugged in later was not shown, so it is not asked.
    late = plug_in(two_heads.root, "ttyUSB2", two_heads.meter)
    page.locator("#search").click()
    expect(page.locator("#waiting")).to_contain_text("of 2 ports asked")
    expect(page.locator(".results")).to_contain_text(", serial number ")
    look(page, "find-1-searching")
    # Stopped, it says what it knows, and nothing about the port that it did not ask.
    page.locator("#stop").click()
    expect(page.locator("#head-form")).to_be_visible()
    expect(choices).to_have_count(3)
    expect(choices.first).to_contain_text(", serial number ")
    expect(choices.nth(1)).to_contain_text("will be asked")
    expect(page.locator("main")).not_to_contain_text("No meter answered")
    late.unlink()
    page.reload()
    expect(choices).to_have_count(2)
    # To its end, it finds silence at the other port, and has chosen the one with the meter.
    page.locator("#search").click()
    expect(choices.nth(1)).to_contain_text("no answer", timeout=90_000)
    expect(choices.first.locator("input")).to_be_checked()
    expect(page.locator("main")).not_to_contain_text("No meter answered")
    look(page, "find-2-found")
    page.locator("#ask").click()
    expect(page.locator("#broker-form")).to_be_visible()


def test_a_search_for_values_ends_with_boxes_to_tick(machine, visit):
    page = visit(machine.url, viewport={"width": 1440, "height": 900})
    page.context.script, page.context.label = True, "1440"
    page.locator("#begin").click()
    if page.locator("#other").count():
        page.locator("#other").check()
    page.locator("#address").fill(machine.meter)
    page.locator("#ask").click()
    expect(page.locator("#broker-form")).to_be_visible()
    page.locator("#host").fill("127.0.0.1")
    page.locator("#port").fill(str(machine.port))
    page.locator("#username").fill("meter")
    page.locator("#password").fill(PASSWORD)
    page.locator("#try").click()
    page.locator("#scan").click()
    expect(page.locator("#waiting")).to_contain_text("of 1400 registers")
    expect(page.locator(".results li").first).to_be_visible()
    look(page, "8-search")
    page.locator("#stop").click()
    expect(page.locator(".works").last).to_contain_text("values")
    assert page.locator(".ticks input").count() > 7
    assert page.locator(".ticks input:checked").count() == 7
    look(page, "9-found")
    # What was chosen earlier can be changed.
    page.get_by_role("link", name="Optical head").click()
    expect(page.locator("#address")).to_have_value(machine.meter)


def test_a_second_browser_and_another_machine_get_nothing(machine, visit):
    page = visit(machine.url)
    page.locator("#begin").click()
    expect(page.locator("#head-form")).to_be_visible()
    second = visit(machine.url, viewport={"width": 360, "height": 800})
    second.context.script, second.context.label = True, "360"
    expect(second.locator("#taken-head")).to_be_visible()
    assert second.locator("form, input, button").count() == 0
    look(second, "taken")
    far = visit(machine.url, extra_http_headers={"X-Forwarded-For": "192.168.1.9"},
                viewport={"width": 360, "height": 800})
    far.context.script, far.context.label = True, "360"
    expect(far.locator("#token")).to_be_visible()
    assert str(machine.state) not in far.content()
    look(far, "code")
    code = machine.program.seen(r"enter this code: (\S+?)\.")[1]
    far.locator("#token").fill(code)
    far.locator("#code-enter").click()
    expect(far.locator("#taken-head")).to_be_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_speaks_five_languages(machine, visit, language):
    for width in [360, 1440]:
        page = visit(machine.url, locale=language, viewport={"width": width, "height": 900})
        expect(page.locator("#begin")).to_have_text(LANGUAGES[language])
        fits(page)
        if width == 360:
            continue
        page.locator("#begin").click()
        expect(page.locator("#head-form")).to_be_visible()
        page.set_viewport_size({"width": 360, "height": 900})
        fits(page)
        no_serious_fault(page)


def test_the_keyboard_is_enough(machine, visit):
    page = visit(machine.url)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#begin")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#head-form")).to_be_visible()
    if page.locator("#other").count():
        page.locator("#other").focus()
        page.keyboard.press("Space")
    page.locator("#address").focus()
    page.keyboard.type(machine.meter)
    page.keyboard.press("Enter")
    expect(page.locator("#broker-form")).to_be_visible()
