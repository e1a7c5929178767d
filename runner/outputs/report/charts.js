"use strict";
/* Charts answer a pointer and the keyboard: the nearest mark is ringed and read out, the legend switches targets, and a
   button changes the kind of scale. Everything drawn here is drawn in the page already; without script it stays still. */

{
  const REACH = 28; // how far, in pixels, a pointer may be from a mark
  const SVG = "http://www.w3.org/2000/svg";
  const reading = document.body.appendChild(document.createElement("div"));
  [reading.id, reading.hidden] = ["reading", true];
  reading.setAttribute("role", "tooltip");
  const marksOf = new WeakMap();

  /* Return the points of a path: its dots, the ends of its steps, or the corners of its lines. */
  function pointsOf(data) {
    const found = [];
    let [x, y] = [0, 0];
    for (const [, command, rest] of data.matchAll(/([MLHVh])([^MLHVh]*)/g)) {
      const numbers = rest.trim().split(/[ ,]+/).map(Number);
      if (command === "M") [x, y] = numbers;
      else if (command === "L") found.push(([x, y] = numbers));
      else if (command === "H") [x] = numbers;
      else if (command === "V") found.push([x, ([y] = numbers)[0]]);
      else found.push([x, y]);
    }
    return found;
  }

  /* Return the marks of a drawing with their texts, in the coordinates of its viewBox. */
  function readMarks(svg) {
    const readings = JSON.parse(svg.closest("figure").querySelector(".readings").textContent);
    const texts = readings[document.documentElement.lang];
    const marks = [];
    const add = (path, owner, left, top) => {
      const points = pointsOf(path.getAttribute("d"));
      const own = texts[path.dataset.series] ?? [];
      const name = targetName(owner.closest("[data-target]"));
      own.forEach((text, at) => {
        const point = points[at];
        if (point) marks.push({ x: point[0] + left, y: point[1] + top, text: name ? `${name}\n${text}` : text, owner });
      });
    };
    for (const use of svg.querySelectorAll("use[data-panel]")) {
      const panel = svg.querySelector(use.getAttribute("href"));
      for (const path of panel.querySelectorAll("[data-series]")) {
        add(path, use, Number(use.getAttribute("x")), Number(use.getAttribute("y")));
      }
    }
    for (const path of svg.querySelectorAll(":scope > [data-series], :scope > g[data-target] [data-series]")) add(path, path, 0, 0);
    for (const rect of svg.querySelectorAll("[data-reading]")) {
      const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => Number(rect.getAttribute(name)));
      const name = targetName(rect.closest("[data-target]"));
      const text = name ? `${name}\n${rect.dataset.reading}` : rect.dataset.reading;
      marks.push({ x: x + width / 2, y: y + height / 2, half: [width / 2, height / 2], text, owner: rect });
    }
    return marks;
  }

  function targetName(owner) {
    const button = owner && document.querySelector(`.legend [data-target="${owner.dataset.target}"]`);
    return button?.textContent ?? "";
  }

  function visibleMarks(svg) {
    if (!marksOf.has(svg)) marksOf.set(svg, readMarks(svg));
    return marksOf.get(svg).filter(({ owner }) => !owner.closest(".off"));
  }

  /* Return how far a mark is from a point; nothing if the point is on it. */
  function distance({ x, y, half: [across, down] = [0, 0] }, [px, py]) {
    return Math.hypot(Math.max(Math.abs(x - px) - across, 0), Math.max(Math.abs(y - py) - down, 0));
  }

  function show(svg, mark) {
    hide();
    const ring = document.createElementNS(SVG, "circle");
    const attributes = { class: "ring", cx: mark.x, cy: mark.y, r: 6, fill: "none", stroke: "currentColor" };
    for (const [name, value] of Object.entries(attributes)) ring.setAttribute(name, value);
    svg.append(ring);
    reading.textContent = mark.text;
    reading.hidden = false;
    const at = ring.getBoundingClientRect();
    const left = Math.min(Math.max(at.left + at.width / 2 - reading.offsetWidth / 2, 4), innerWidth - reading.offsetWidth - 4);
    const above = at.top - reading.offsetHeight - 6;
    reading.style.left = `${left + scrollX}px`;
    reading.style.top = `${(above < 4 ? at.bottom + 6 : above) + scrollY}px`;
  }

  function hide() {
    document.querySelector(".ring")?.remove();
    reading.hidden = true;
  }

  function readPointer(svg, event) {
    const matrix = svg.getScreenCTM();
    const point = [(event.clientX - matrix.e) / matrix.a, (event.clientY - matrix.f) / matrix.d];
    let nearest = null;
    let least = REACH / matrix.a;
    for (const mark of visibleMarks(svg)) {
      const away = distance(mark, point);
      if (away < least || (away === 0 && nearest === null)) [nearest, least] = [mark, away];
    }
    if (nearest) show(svg, nearest);
    else hide();
  }

  /* Go through the marks by arrow keys: left and right within a target, up and down to the next target. */
  function readKey(svg, event) {
    const marks = visibleMarks(svg);
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 0, ArrowUp: 0 };
    if (event.key === "Escape") return hide();
    if (!(event.key in steps) || marks.length === 0) return;
    event.preventDefault();
    let at = Math.min(Number(svg.dataset.at ?? -1), marks.length - 1);
    if (at < 0 && event.key === "ArrowLeft") at = marks.length - 1;
    else if (steps[event.key]) at = (at + steps[event.key] + marks.length) % marks.length;
    else at = firstOfNext(marks, Math.max(at, 0), event.key === "ArrowDown" ? 1 : -1);
    svg.dataset.at = at;
    show(svg, marks[at]);
  }

  function firstOfNext(marks, from, step) {
    const owners = [...new Set(marks.map(({ owner }) => owner))];
    const next = owners[(owners.indexOf(marks[from].owner) + step + owners.length) % owners.length];
    return marks.findIndex(({ owner }) => owner === next);
  }

  for (const svg of document.querySelectorAll(".drawing > svg")) {
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("aria-describedby", "reading");
    svg.addEventListener("pointermove", (event) => readPointer(svg, event));
    svg.addEventListener("pointerdown", (event) => readPointer(svg, event));
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("keydown", (event) => readKey(svg, event));
    svg.addEventListener("focus", () => {
      const marks = visibleMarks(svg);
      if (marks.length && svg.matches(":focus-visible")) show(svg, marks[Math.max(Number(svg.dataset.at ?? 0), 0)] ?? marks[0]);
    });
    svg.addEventListener("blur", hide);
  }

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", on);
      for (const part of document.querySelectorAll(`.drawing [data-target="${button.dataset.target}"]`)) {
        part.classList.toggle("off", !on);
      }
      hide();
    });
  }

  for (const button of document.querySelectorAll("button.scale")) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.closest("figure").classList.toggle("is-log"));
      hide();
    });
  }
}
