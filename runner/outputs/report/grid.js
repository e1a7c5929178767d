"use strict";
/* The comparison grid: which turns are shown, which repeat of each, and how its replies are shown. All of this is in
   `state`, `state` is kept in the address, and `draw` updates the page from it. No reply becomes HTML here. */

const data = JSON.parse(document.getElementById("texts").textContent);
const words = JSON.parse(document.getElementById("words").textContent)[document.documentElement.lang];
const controls = document.getElementById("controls");
const grid = document.getElementById("grid");
const headings = [...grid.querySelectorAll("thead th[data-column]")];
const names = headings.map((heading) => [...heading.querySelector(".name").childNodes].map((node) => node.cloneNode(true)));
/* The language of the address, which a link to a part of the page replaces. */
const language = new URLSearchParams(location.hash.slice(1)).get("lang");
const turns = [...grid.querySelectorAll("tr.turn")].map((element, at) => new Turn(element, data.turns[at]));
const state = {
  show: "all",
  find: "",
  raw: false,
  base: null,
  row: null,
  column: null,
  blind: false,
  hidden: [],
  pinned: [],
};

/* Return a text of the page's language with its {names} filled. */
function say(name, values = {}) {
  return words[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

/* One turn of one case: its row, and the texts of its replies by column and repeat. */
function Turn(element, { repeats, first, replies }) {
  this.element = element;
  this.cells = [...element.querySelectorAll(":scope > td")];
  this.order = this.cells.map((_, column) => column);
  this.repeats = repeats;
  this.at = repeats.indexOf(first);
  this.articles = this.cells.map((cell) => new Map([[first, cell.querySelector("article")]]));
  this.textOf = (column, at = this.at) => replies[column][repeats[at]] ?? null;
  this.searchable = [element.querySelector("th").textContent, ...replies.flatMap(Object.values)].join("\n").toLowerCase();
  this.drawn = null;
}

// The address

function readAddress() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const number = (name, count) => {
    const value = Number.parseInt(parameters.get(name), 10) - 1;
    return value >= 0 && value < count ? value : null;
  };
  state.show = ["different", "failed", "flagged"].find((known) => known === parameters.get("show")) ?? "all";
  state.find = parameters.get("find") ?? "";
  state.raw = parameters.has("raw");
  state.base = number("diff", headings.length);
  state.column = number("column", headings.length);
  state.row = number("row", turns.length);
  state.blind = parameters.has("blind");
  const columns = (name) => (parameters.get(name) ?? "").split(",").map((word) => Number(word) - 1);
  const known = (column, at, all) => column >= 0 && column < headings.length && all.indexOf(column) === at;
  state.hidden = columns("hide").filter(known);
  state.pinned = columns("pin").filter(known);
  if (state.hidden.length === headings.length) state.hidden = [];
}

function writeAddress() {
  const parameters = new URLSearchParams();
  if (state.show !== "all") parameters.set("show", state.show);
  if (state.find) parameters.set("find", state.find);
  if (state.raw) parameters.set("raw", "");
  if (state.base !== null) parameters.set("diff", state.base + 1);
  if (state.column !== null) parameters.set("column", state.column + 1);
  if (state.row !== null) parameters.set("row", state.row + 1);
  if (state.blind) parameters.set("blind", "");
  for (const [name, columns] of [["hide", state.hidden], ["pin", state.pinned]]) {
    if (columns.length) parameters.set(name, columns.map((column) => column + 1).join(","));
  }
  if (language) parameters.set("lang", language);
  const fragment = parameters.toString().replaceAll("%2C", ",").replaceAll("=&", "&").replace(/=$/, "");
  history.replaceState(null, "", fragment ? `#${fragment}` : location.href.split("#")[0]);
}

/* Change the state, and update the page and its address. */
function change(changes) {
  Object.assign(state, changes);
  writeAddress();
  draw();
}

// Drawing

function draw() {
  drawBlindness();
  drawControls();
  drawColumns();
  headings.forEach((heading, at) => heading.classList.toggle("chosen", at === state.column));
  const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  turns.forEach((turn, at) => {
    turn.element.hidden = !fits(turn, words);
    shown += turn.element.hidden ? 0 : 1;
    if (at === state.row) turn.element.setAttribute("aria-current", "true");
    else turn.element.removeAttribute("aria-current");
    if (turn.near) drawReplies(turn);
  });
  const all = shown === turns.length;
  document.getElementById("shown").textContent = say(all ? "shown" : "shown_of", { shown, all: turns.length });
}

function fits(turn, words) {
  const { failed, flagged } = turn.element.dataset;
  if (state.blind && !hasChoice(turn)) return false;
  const chosen = { all: true, failed: failed !== undefined, flagged: flagged !== undefined, different: !isAlike(turn) };
  return chosen[state.show] && words.every((word) => turn.searchable.includes(word));
}

/* Return whether all columns of a turn have the same text, or none. */
function isAlike(turn) {
  return new Set(turn.cells.map((_, column) => turn.textOf(column)?.trim())).size <= 1;
}

function drawControls() {
  controls.elements.show.value = state.show;
  if (controls.elements.find.value !== state.find) controls.elements.find.value = state.find;
  controls.elements.raw.checked = state.raw;
  controls.elements.base.value = state.base ?? "";
}

/* Draw a turn's cells in their order and form. Turns far from the window are drawn when they come near. */
function drawReplies(turn) {
  const version = JSON.stringify([turn.at, turn.order, state.raw, state.base, state.column, state.blind]);
  if (turn.drawn === version) return;
  turn.drawn = version;
  turn.order.forEach((column, position) => {
    const cell = turn.cells[column];
    cell.querySelector(".name").replaceChildren(...nameAt(position));
    cell.classList.toggle("chosen", position === state.column);
    const article = articleOf(turn, column);
    const present = cell.querySelector("article");
    if (present !== article) present.replaceWith(article);
    drawText(article, turn, column, position);
  });
  if (turn.cells.some((cell, at) => turn.element.children[at + 1] !== turn.cells[turn.order[at]])) {
    turn.element.append(...turn.order.map((column) => turn.cells[column]));
  }
  drawPager(turn);
}

/* Return the name of a column: a letter in a blind vote, else the heading with the places where it may be broken. */
function nameAt(position) {
  return state.blind ? [letter(position)] : names[position].map((node) => node.cloneNode(true));
}

function articleOf(turn, column) {
  const repeat = turn.repeats[turn.at];
  const known = turn.articles[column];
  if (!known.has(repeat)) {
    const template = turn.cells[column].querySelector(`template[data-repeat="${repeat}"]`);
    known.set(repeat, template ? template.content.firstElementChild.cloneNode(true) : notSent());
  }
  return known.get(repeat);
}

function notSent() {
  const article = document.createElement("article");
  article.append(element("p", "soft", say("not_asked")));
  return article;
}

/* Show a reply as rendered Markdown, as it was written, or with its differences to the chosen base marked. */
function drawText(article, turn, column, position) {
  const text = turn.textOf(column);
  article.querySelector(".written")?.remove();
  const rendered = article.querySelector(".rendered");
  const base = state.base === null ? null : turn.textOf(turn.order[state.base]);
  const compared = state.base !== null && position !== state.base && base !== null;
  for (const drawn of article.querySelectorAll(".rendered, .calls")) drawn.hidden = state.raw || compared;
  if (text === null || !(state.raw || compared)) return;
  const written = element("div", compared ? "written" : "written source");
  written.dir = "auto";
  written.lang = rendered?.lang ?? "";
  written.append(...(compared ? marked(base, text) : [text]));
  article.append(written);
}

function marked(base, text) {
  const pieces = diffWords(base, text);
  if (pieces === null) return [element("p", "soft", say("too_different")), text];
  if (base === text) return [element("p", "soft", say("same_words")), text];
  const tags = { removed: "del", added: "ins" };
  return pieces.map(({ change: kind, text: part }) => (kind === "same" ? part : element(tags[kind], "", part)));
}

function drawPager(turn) {
  const pager = turn.element.querySelector(".pager");
  if (!pager) return;
  const [before, label, after] = pager.children;
  const [repeat, count] = [turn.repeats[turn.at], turn.repeats.length];
  const plain = turn.repeats.every((each, at) => each === at + 1);
  label.textContent = say(plain ? "repeat_of" : "repeat_here", { repeat, count, at: turn.at + 1 });
  before.disabled = turn.at === 0;
  after.disabled = turn.at === turn.repeats.length - 1;
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

// User actions

function turnPage(turn, step) {
  turn.at = Math.min(Math.max(turn.at + step, 0), turn.repeats.length - 1);
  draw();
}

function go(step) {
  const visible = turns.filter((turn) => !turn.element.hidden);
  const from = visible.indexOf(turns[state.row]);
  const to = visible[from < 0 ? 0 : Math.min(Math.max(from + step, 0), visible.length - 1)];
  if (to) goTo(to);
}

/* Make a turn the current one. */
function goTo(turn, changes = {}) {
  change({ ...changes, row: turns.indexOf(turn) });
  turn.element.focus({ preventScroll: true });
  bringIntoView(turn);
}

/* Scroll twice: rows that come near are laid out for the first time then, and move the rows below. */
function bringIntoView(turn) {
  const scroll = () => {
    turn.element.style.scrollMarginTop = `${coveredHeight()}px`;
    turn.element.scrollIntoView({ block: "start" });
  };
  scroll();
  requestAnimationFrame(() => requestAnimationFrame(scroll));
}

/* Return the height, in pixels, of the sticky parts that cover rows at the top of the window. */
function coveredHeight() {
  const staying = [controls, grid.tHead];
  const sticky = staying.filter((each) => each && getComputedStyle(each).position === "sticky");
  return sticky.reduce((sum, each) => sum + each.offsetHeight, 0);
}

function choose(position) {
  if (position >= headings.length) return;
  if (state.blind) return vote(turns[state.row], position);
  change({ column: state.column === position ? null : position });
  if (state.column !== null) headings[position].scrollIntoView({ block: "nearest", inline: "center" });
}

const KEYS = {
  j: () => go(1),
  k: () => go(-1),
  d: () => change({ base: state.base === null ? (state.column ?? 0) : null }),
  r: () => change({ raw: !state.raw }),
  b: () => change({ blind: !state.blind, base: null }),
  h: () => state.row !== null && turnPage(turns[state.row], -1),
  l: () => state.row !== null && turnPage(turns[state.row], 1),
  t: () => state.blind && vote(turns[state.row], "tie"),
  n: () => state.blind && vote(turns[state.row], "none"),
  "/": () => controls.elements.find.focus(),
  "?": () => document.getElementById("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input[type=search], select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const act = /^[1-9]$/.test(event.key) ? () => choose(Number(event.key) - 1) : KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

controls.addEventListener("submit", (event) => event.preventDefault());
controls.addEventListener("input", () => {
  const { show, find, raw, base } = controls.elements;
  change({ show: show.value, find: find.value, raw: raw.checked, base: base.value === "" ? null : Number(base.value) });
});
document.getElementById("ask-help").addEventListener("click", KEYS["?"]);
grid.addEventListener("click", (event) => {
  if (event.target.closest(".ballot")) return; // a vote goes on to the next turn
  const row = event.target.closest("tr.turn");
  const turn = turns.find((each) => each.element === row);
  const step = event.target.closest(".pager button")?.dataset.step;
  if (turn && step) turnPage(turn, Number(step));
  if (turn && state.row !== turns.indexOf(turn)) change({ row: turns.indexOf(turn) });
});
window.addEventListener("hashchange", () => {
  if (document.getElementById(location.hash.slice(1))) return; // a link to a part of the page
  readAddress();
  draw();
});
window.addEventListener("beforeprint", () => turns.forEach(drawReplies));

function watchRows() {
  const watcher = new IntersectionObserver(
    (seen) => {
      for (const { target, isIntersecting } of seen) {
        const turn = turns[target.dataset.at];
        turn.near = isIntersecting;
        if (isIntersecting) drawReplies(turn);
      }
    },
    { rootMargin: "100% 0%" },
  );
  turns.forEach((turn) => watcher.observe(turn.element));
}
