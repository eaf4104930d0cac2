// Follows what the program tries, without loading the page again. Without it, the page loads itself.
"use strict";

const PAUSE = 700;

function waits() {
  return document.getElementById("main").hasAttribute("data-waits");
}

async function look() {
  let text;
  try {
    const answer = await fetch("./", { cache: "no-store" });
    text = await answer.text();
  } catch {
    // The program may be restarting.
    return plan();
  }
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const next = fresh.getElementById("main");
  // The status page has come.
  if (!next) return location.reload();
  put(next, fresh.title);
  plan();
}

function put(next, title) {
  const before = document.getElementById("main");
  if (before.outerHTML === next.outerHTML) return;
  const isOther = before.dataset.screen !== next.dataset.screen;
  const focused = document.activeElement?.id;
  document.title = title;
  before.replaceWith(document.adoptNode(next));
  choose();
  if (isOther) {
    // The button that was pressed is gone. A screen reader continues at the head of the new screen.
    document.querySelector("h2")?.focus();
    scrollTo(0, 0);
  } else if (focused) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
}

function plan() {
  if (waits()) setTimeout(look, PAUSE);
}

// A broker with TLS usually has another port.
function choose() {
  const [tls, port] = ["tls", "port"].map((id) => document.getElementById(id));
  tls?.addEventListener("change", () => {
    const [from, to] = tls.checked ? ["1883", "8883"] : ["8883", "1883"];
    if (port.value === from) port.value = to;
  });
}

choose();
plan();
