// Updates the page while it is open, and nothing else: without it the page stays as it was loaded.
// The server renders everything.
"use strict";

const body = document.body;
const parts = document.getElementById("parts");
const said = document.getElementById("said");
const live = document.getElementById("live");

// The last text of each part, so that only parts that have changed are replaced.
const sent = new Map();

let source = null;
let fetching = false;
let again = false;
let shownAt = performance.now();

let saying = 0;

// Shows a message for ten seconds, or until the next one.
function say(text, stays = false) {
  clearTimeout(saying);
  said.classList.remove("unseen");
  said.textContent = text;
  if (text && !stays) saying = setTimeout(() => say(""), 10000);
}

function fill(pattern, values) {
  return pattern.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// The same as `length` in src/web/page/timed.rs.
function length(seconds) {
  const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(seconds / unit));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${minutes} min`;
  if (seconds < 172800) return `${hours} h ${minutes % 60} min`;
  return `${days} d ${hours % 24} h`;
}

// Counts ages up and waits down between two answers of the server.
function tick() {
  const passed = Math.floor((performance.now() - shownAt) / 1000);
  for (const span of document.querySelectorAll("[data-age]")) {
    span.textContent = length(Number(span.dataset.age) + passed);
  }
  for (const span of document.querySelectorAll("[data-left]")) {
    span.textContent = length(Math.max(0, Number(span.dataset.left) - passed));
  }
}

// Some elements need the script, and some are only for those without it.
function unhide(within) {
  for (const element of within.querySelectorAll(".scripted")) element.hidden = false;
  for (const element of within.querySelectorAll(".unscripted")) element.hidden = true;
}

// Replaces the parts that have changed. What is open stays open, and the focus stays where it is.
function put(html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  const sections = [...fresh.content.children];
  const known = new Set(sections.map((section) => section.id));
  const focused = document.activeElement?.id;
  const within = document.activeElement?.closest("#parts > *")?.id;
  const bottoms = followed();
  for (const old of [...parts.children]) {
    if (!known.has(old.id)) {
      old.remove();
      sent.delete(old.id);
    }
  }
  let before = parts.firstElementChild;
  for (const section of sections) {
    const old = document.getElementById(section.id);
    const text = section.outerHTML;
    if (old && sent.get(section.id) === text) {
      before = old.nextElementSibling;
      continue;
    }
    if (old) {
      keep(old, section);
      announce(old, section);
      before = old.nextElementSibling;
      old.replaceWith(section);
      announceNews(old, section);
    } else {
      parts.insertBefore(section, before);
    }
    sent.set(section.id, text);
    unhide(section);
  }
  shownAt = performance.now();
  tick();
  entitle();
  for (const id of bottoms) toBottom(document.getElementById(id));
  if (focused && document.activeElement?.id !== focused) focusOn(focused, within);
}

// Focuses an element, or the part that it was in: a button may be there no longer.
function focusOn(id, within) {
  const element = document.getElementById(id) ?? document.getElementById(within);
  if (element?.parentElement === parts) element.tabIndex = -1;
  element?.focus({ preventScroll: true });
}

// The window's title and icon show trouble from another tab.
function entitle() {
  const { title, icon } = document.getElementById("window-state").dataset;
  document.title = title;
  const link = document.getElementById("icon");
  if (link.getAttribute("href") !== icon) link.href = icon;
}

function keep(old, section) {
  for (const details of old.querySelectorAll("details[id]")) {
    const next = section.querySelector(`#${details.id}`);
    // The server opens it only once, so that it can be closed again.
    const opens = next?.open && !("opened" in details.dataset);
    if (next) next.open = opens || details.open;
  }
  for (const box of old.querySelectorAll("input[type=checkbox][id]")) {
    const next = section.querySelector(`#${box.id}`);
    if (next) next.checked = box.checked;
  }
  for (const field of old.querySelectorAll("input[type=password][id]")) {
    const next = section.querySelector(`#${field.id}`);
    if (next) next.value = field.value;
  }
  const select = old.querySelector("select[id]");
  const next = select && section.querySelector(`#${select.id}`);
  if (next) next.value = select.value;
}

// Announces news. If they are in view, only screen readers get them once more: nothing is covered.
function announceNews(old, section) {
  const news = section.querySelector("[data-news]");
  const text = news?.textContent;
  if (!text || text === old.querySelector("[data-news]")?.textContent) return;
  say(text);
  const { top, bottom } = news.getBoundingClientRect();
  said.classList.toggle("unseen", top >= 0 && bottom <= innerHeight);
}

// Announces a meter's new state, for screen readers and those who have scrolled away.
function announce(old, section) {
  const state = (within) => within.querySelector(".badge")?.lastChild.textContent.trim();
  const name = section.querySelector("[data-line]")?.dataset.line;
  // The first reading is no news.
  if (!name || old.classList.contains("starting") && section.classList.contains("good")) return;
  if (state(old) !== state(section)) say(`${name}: ${state(section)}`);
}

// A log that is scrolled to its end stays there.
function followed() {
  const lines = document.getElementById("lines");
  return lines && lines.scrollHeight - lines.scrollTop - lines.clientHeight < 8 ? ["lines"] : [];
}

function toBottom(element) {
  if (element) element.scrollTop = element.scrollHeight;
}

async function refresh() {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  let done = false;
  try {
    const answer = await fetch(`part${location.search}`, { cache: "no-store" });
    if (answer.ok) put(await answer.text());
    done = answer.ok;
  } catch {
    // Retried below. If the program is gone, the event stream reports it.
    if (document.hidden) document.title = body.dataset.goneTitle;
  } finally {
    fetching = false;
  }
  if (again) {
    again = false;
    refresh();
  } else if (!done && source?.readyState === EventSource.OPEN) {
    // The server answers a limited number of pages at a time.
    setTimeout(refresh, 500 + Math.random() * 2000);
  }
}

// Sound for people who move the head and do not see the page. Off until it is switched on.
let audio = null;

function beep(hit) {
  const wanted = document.querySelector("[data-sound]:checked");
  if (!wanted) return;
  audio ??= new AudioContext();
  const tone = audio.createOscillator();
  const volume = audio.createGain();
  tone.frequency.value = hit ? 880 : 220;
  volume.gain.value = 0.2;
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + (hit ? 0.12 : 0.3));
}

function set(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function placed(event) {
  const state = JSON.parse(event.data);
  const box = document.getElementById(`placement-${state.meter}`);
  if (!box || typeof state.hit !== "boolean") return;
  box.className = `placement ${state.hit ? "hit" : "miss"}`;
  set(box.querySelector(".sign"), state.hit ? "✓" : "✕");
  set(box.querySelector(".said"), state.hit ? body.dataset.hit : body.dataset.miss);
  set(box.querySelector(".count"), fill(body.dataset.hitsOf, state));
  beep(state.hit);
}

function scanned(event) {
  const state = JSON.parse(event.data);
  const box = document.getElementById(`scan-${state.meter}`);
  if (!box) return;
  const bar = box.querySelector("progress");
  // The search has ended, and the page shows all results.
  if (!bar) return;
  bar.max = state.of;
  bar.value = state.asked;
  const rows = document.getElementById(`found-${state.meter}`);
  for (const found of state.found) rows.append(row(found));
  const text = fill(body.dataset.progress, { ...state, found: rows.children.length });
  set(box.querySelector(".count"), text);
}

function row(found) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = found.register;
  const value = found.value === null ? "–" : `${found.value} ${found.unit ?? ""}`.trim();
  line.append(head);
  for (const text of [found.label ?? found.name, value]) {
    const cell = document.createElement("td");
    cell.textContent = text;
    line.append(cell);
  }
  return line;
}

function listen() {
  source?.close();
  source = new EventSource("events");
  source.addEventListener("open", () => {
    live.hidden = false;
    if ([body.dataset.gone, body.dataset.full].includes(said.textContent)) say("");
    // Something may have changed before the stream was open.
    refresh();
  });
  source.addEventListener("changed", refresh);
  source.addEventListener("placement", placed);
  source.addEventListener("scan", scanned);
  // Another page has the place of this one. Listening again would end that one, and so on.
  source.addEventListener("full", () => {
    source.close();
    live.hidden = true;
    say(body.dataset.full, true);
  });
  source.addEventListener("error", () => {
    live.hidden = true;
    say(body.dataset.gone, true);
    document.title = body.dataset.goneTitle;
    // The browser retries automatically, except after a refusal.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  });
}

// The reason that the program gives for a refusal, if it gives one.
async function refusal(answer) {
  const kind = answer.headers.get("content-type") ?? "";
  const text = kind.startsWith("text/plain") ? (await answer.text()).trim() : "";
  return text || body.dataset.failed;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Over plain HTTP, and in Home Assistant's frame, browsers allow only this.
    const area = document.createElement("textarea");
    area.value = text;
    area.setAttribute("readonly", "");
    body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

async function report() {
  const head = document.getElementById("report").textContent;
  const answer = await fetch("log", { cache: "no-store" });
  return `${head}\n\n${answer.ok ? await answer.text() : ""}`;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-report]");
  if (!button) return;
  try {
    const from = button.dataset.copy && document.getElementById(button.dataset.copy);
    const done = await copy(from ? from.textContent : await report());
    say(done ? body.dataset.copied : body.dataset.notCopied);
  } catch {
    say(body.dataset.failed);
  }
  button.focus({ preventScroll: true });
});

// The link to the placement aid opens it.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a.aid");
  const details = link && document.querySelector(link.getAttribute("href"));
  if (details) details.open = true;
});

document.addEventListener("change", (event) => {
  if (event.target.id === "level") event.target.form.requestSubmit();
  // Browsers allow sound only after the user has done something.
  if (event.target.matches("[data-sound]")) (audio ??= new AudioContext()).resume();
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  event.preventDefault();
  if (form.method === "get") {
    const query = new URLSearchParams(new FormData(form));
    history.replaceState(null, "", `?${query}`);
    refresh();
    return;
  }
  const button = form.querySelector("button");
  const within = form.closest("#parts > *")?.id;
  const before = saying;
  button.disabled = true;
  try {
    const asked = { method: "POST", body: new URLSearchParams(new FormData(form)) };
    // The answer redirects to this page, which the event stream keeps up to date anyway.
    const answer = await fetch(form.getAttribute("action"), { ...asked, redirect: "manual" });
    const taken = answer.ok || answer.type === "opaqueredirect";
    if (!taken) say(await refusal(answer));
    // The outcome may have been announced already.
    else if (saying === before) say(form.dataset.asked ?? body.dataset.asked);
    if (answer.status === 401) document.getElementById("token")?.focus();
    if (taken) refresh();
  } catch {
    say(body.dataset.failed);
  } finally {
    button.disabled = false;
    if (document.activeElement?.id !== "token") focusOn(button.id, within);
  }
});

// A browser opens only six connections to one server, so a page in the background listens to no
// events. It asks once a minute, because its title and icon are still seen. In a frame they are not.
const AWAY = 60_000;
setInterval(() => {
  if (document.hidden && window === window.top) refresh();
}, AWAY);

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source?.close();
    source = null;
    live.hidden = true;
  } else if (!source) {
    listen();
  }
});

unhide(document);
toBottom(document.getElementById("lines"));
for (const section of parts.children) sent.set(section.id, null);
setInterval(() => document.hidden || tick(), 1000);
listen();
