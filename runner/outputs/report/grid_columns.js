"use strict";
/* The columns of the comparison grid: hidden and pinned ones, the headings that follow a wide grid sideways, and the
   heights that sticky parts need to know of one another. */

const columnMenu = document.getElementById("columns");
const headRow = grid.tHead.rows[0];
const FIRST = "12rem";
const WIDTH = "20rem";

/* Return the columns that are pinned; in a blind vote none is, since a place would tell a name. */
function pinned() {
  return state.blind ? [] : state.pinned.filter((column) => !state.hidden.includes(column));
}

function drawColumns() {
  const hidden = state.blind ? [] : state.hidden;
  const pins = pinned();
  for (const row of [headRow, ...turns.map(({ element: of }) => of)]) {
    const cells = [...row.children].slice(1);
    cells.forEach((cell, position) => {
      const column = row === headRow ? position : turnOf(row).order[position];
      const place = pins.indexOf(column);
      cell.classList.toggle("off", hidden.includes(column));
      cell.classList.toggle("pinned", place >= 0);
      cell.style.order = place >= 0 ? String(place - pins.length) : "";
      cell.style.insetInlineStart = place >= 0 ? `calc(${FIRST} + ${place} * ${WIDTH})` : "";
    });
    row.firstElementChild.style.order = String(-pins.length - 1);
  }
  grid.style.setProperty("--columns", headings.length - hidden.length);
  drawColumnMenu(hidden, pins);
}

function turnOf(row) {
  return turns[Number(row.dataset.at)];
}

function drawColumnMenu(hidden, pins) {
  if (!columnMenu) return;
  for (const box of columnMenu.querySelectorAll("[data-shown]")) box.checked = !hidden.includes(Number(box.dataset.shown));
  for (const pin of columnMenu.querySelectorAll("[data-pin]")) {
    pin.setAttribute("aria-pressed", pins.includes(Number(pin.dataset.pin)));
  }
}

function toggled(columns, column) {
  return columns.includes(column) ? columns.filter((each) => each !== column) : [...columns, column];
}

columnMenu?.addEventListener("input", (event) => {
  event.stopPropagation();
  const column = Number(event.target.dataset.shown);
  const hidden = toggled(state.hidden, column);
  if (hidden.length < headings.length) change({ hidden });
  else draw();
});
columnMenu?.addEventListener("click", (event) => {
  const pin = event.target.closest("[data-pin]");
  if (pin) change({ pinned: toggled(state.pinned, Number(pin.dataset.pin)) });
});
document.addEventListener("click", (event) => {
  if (columnMenu?.open && !columnMenu.contains(event.target)) columnMenu.open = false;
});

/* The headings of a wide grid scroll sideways with its rows, whichever of the two is moved. */
const body = grid.tBodies[0];
for (const [one, other] of [[body, grid.tHead], [grid.tHead, body]]) {
  one.addEventListener("scroll", () => {
    if (Math.abs(other.scrollLeft - one.scrollLeft) > 1) other.scrollLeft = one.scrollLeft;
  });
}

/* The headings stand below the toolbar, however many lines that has. */
new ResizeObserver(() => {
  document.documentElement.style.setProperty("--toolbar", `${controls.offsetHeight}px`);
}).observe(controls);

/* A cell of the table at a glance leads to its reply, and shows the row if a filter hid it. */
document.getElementById("glance-section")?.addEventListener("click", (event) => {
  const found = /^#reply-(\d+)-(\d+)$/.exec(event.target.closest("a")?.getAttribute("href") ?? "");
  if (!found) return;
  event.preventDefault();
  const [row, column] = [Number(found[1]) - 1, Number(found[2]) - 1];
  goTo(turns[row], { show: "all", find: "", column, hidden: state.hidden.filter((each) => each !== column) });
  headings[column].scrollIntoView({ block: "nearest", inline: "center" });
});
