
// ---- Charts
// Shows the time and the value of a point of a chart: where somebody points or touches, or where the
// arrow keys move the slider that lies on the chart. The slider says it to a screen reader. All texts
// are made on the server.
{
  // The point that is chosen in each chart, by its time: it stays while newer readings come.
  const chosen = new Map();

  let pointed = null;

  // The points of a chart, made of its data once.
  function points(field) {
    field.points ??= field.dataset.points.split("\n").map((line) => {
      const [x, ys, time, ...texts] = line.split("\t");
      return { x: Number(x), ys: ys.split(" "), time, texts };
    });
    if (!field.tip) {
      field.names = field.dataset.names.split("\t");
      // The browser would show them as well.
      for (const title of field.querySelectorAll("title")) title.remove();
      field.tip = document.createElement("div");
      field.tip.className = "tip";
      field.cursor = document.createElement("div");
      field.cursor.className = "cursor";
      field.dots = points(field)[0].ys.map((_, index) => {
        const dot = document.createElement("div");
        dot.className = `dot-at ${index ? "two" : "one"}`;
        return dot;
      });
      for (const part of [field.tip, field.cursor, ...field.dots]) {
        part.setAttribute("aria-hidden", "true");
        part.hidden = true;
      }
      field.append(field.cursor, ...field.dots, field.tip);
      const slider = field.querySelector(".at");
      const before = points(field).findIndex((point) => point.time === chosen.get(slider.id));
      if (before >= 0) slider.value = before;
    }
    return field.points;
  }

  function show(field, index) {
    const all = points(field);
    const point = all[index];
    const slider = field.querySelector(".at");
    slider.value = index;
    if (index < all.length - 1) chosen.set(slider.id, point.time);
    else chosen.delete(slider.id);
    const texts = point.texts
      .map((text, curve) => text && `${field.names[curve] ?? ""} ${text}`.trim())
      .filter((text) => text);
    slider.setAttribute("aria-valuetext", `${point.time}: ${texts.join("; ")}`);
    const head = document.createElement("strong");
    head.textContent = point.time;
    const lines = texts.map((text) => {
      const line = document.createElement("span");
      line.textContent = text;
      return line;
    });
    field.tip.replaceChildren(head, ...lines);
    const left = `${point.x / 100}%`;
    field.cursor.style.left = left;
    field.cursor.hidden = field.tip.hidden = false;
    field.dots.forEach((dot, curve) => {
      const y = point.ys[curve];
      dot.hidden = y === "-";
      dot.style.left = left;
      // As TOP, TALL and HEIGHT in src/web/chart/shape.rs.
      dot.style.top = `${8 + (Number(y) * 140) / 1000}px`;
    });
    // Beside the point, and within the chart.
    const [at, room] = [(point.x / 10000) * field.clientWidth, field.tip.offsetWidth + 12];
    const place = at + room > field.clientWidth ? at - room : at + 12;
    field.tip.style.left = `${Math.max(0, Math.min(place, field.clientWidth - field.tip.offsetWidth))}px`;
  }

  function hide(field) {
    if (!field?.tip) return;
    for (const part of [field.tip, field.cursor, ...field.dots]) part.hidden = true;
  }

  function nearest(field, event) {
    const box = field.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 10000;
    let best = 0;
    points(field).forEach((point, index, all) => {
      if (Math.abs(point.x - x) < Math.abs(all[best].x - x)) best = index;
    });
    return best;
  }

  function hasFocus(field) {
    return field.contains(document.activeElement);
  }

  for (const kind of ["pointermove", "pointerdown"]) {
    document.addEventListener(kind, (event) => {
      const field = event.target.closest?.(".field") ?? null;
      if (pointed && pointed !== field && !hasFocus(pointed)) hide(pointed);
      pointed = field;
      if (!field) return;
      show(field, nearest(field, event));
      if (kind === "pointerdown") {
        // Keys need the ring that shows where they go; a finger does not.
        field.classList.add("pressed");
        field.querySelector(".at").focus({ preventScroll: true });
      }
    });
  }

  document.documentElement.addEventListener("pointerleave", () => {
    if (pointed && !hasFocus(pointed)) hide(pointed);
    pointed = null;
  });

  // A press gives the focus to what is pressed, which is the chart and not its slider.
  document.addEventListener("mousedown", (event) => {
    if (event.target.closest?.(".field")) event.preventDefault();
  });

  document.addEventListener("focusin", (event) => {
    const field = event.target.matches(".at") ? event.target.closest(".field") : null;
    if (!field) return;
    points(field);
    show(field, Number(event.target.value));
  });

  document.addEventListener("focusout", (event) => {
    const field = event.target.matches(".at") ? event.target.closest(".field") : null;
    field?.classList.remove("pressed");
    if (field && field !== pointed) hide(field);
  });

  document.addEventListener("input", (event) => {
    if (event.target.matches(".at")) {
      show(event.target.closest(".field"), Number(event.target.value));
    }
  });

  document.addEventListener("keydown", (event) => {
    if (!event.target.matches(".at")) return;
    const field = event.target.closest(".field");
    field.classList.remove("pressed");
    if (event.key === "Escape") hide(field);
  });

  // Another range comes without loading the page again.
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".ranges a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    chosen.clear();
    history.replaceState(null, "", new URL(link.href).search);
    refresh();
  });
}
