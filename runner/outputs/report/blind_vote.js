"use strict";
/* Blind votes: letters replace names, columns are shuffled in each case, and one votes for a reply. Everything else that
   could identify a target (summary, charts, timings, reasoning) is hidden by the style sheet. */

const VERDICTS = { tie: words.tie, none: words.none_good };
const STORAGE_KEY = `compare votes ${data.id}`;
const votes = new Map(Object.entries(loadVotes()));
const shuffles = new Map();
let blindNow = false;

function letter(position) {
  return String.fromCharCode(65 + position);
}

/* Return the order of a turn's columns. All turns of a case, which are one conversation, have the same order. */
function shuffle(turn) {
  const { case: name } = turn.element.dataset;
  if (!shuffles.has(name)) {
    const order = turn.cells.map((_, column) => column);
    for (let last = order.length - 1; last > 0; last--) {
      const other = crypto.getRandomValues(new Uint32Array(1))[0] % (last + 1);
      [order[last], order[other]] = [order[other], order[last]];
    }
    shuffles.set(name, order);
  }
  return shuffles.get(name);
}

/* Update names, order and ballots from the state. */
function drawBlindness() {
  document.documentElement.toggleAttribute("data-blind", state.blind);
  const button = document.getElementById("blind");
  button.setAttribute("aria-pressed", state.blind);
  button.textContent = state.blind ? words.reveal : words.blind_vote;
  if (blindNow !== state.blind) {
    blindNow = state.blind;
    if (!state.blind) shuffles.clear();
    for (const turn of turns) {
      turn.order = state.blind ? shuffle(turn) : turn.cells.map((_, column) => column);
      drawReplies(turn);
    }
    headings.forEach((heading, at) => heading.querySelector(".name").replaceChildren(...nameAt(at)));
    [...controls.elements.base.options].slice(1).forEach((option, at) => {
      option.textContent = state.blind ? letter(at) : data.columns[at];
    });
  }
  turns.forEach(drawBallot);
  drawTally();
}

function drawBallot(turn) {
  const ballot = turn.element.querySelector(".ballot");
  if (!state.blind) return ballot.replaceChildren();
  if (!ballot.firstChild) ballot.append(...ballotButtons(turn));
  const choice = votes.get(turn.element.dataset.at)?.choice;
  for (const button of ballot.querySelectorAll("button")) {
    const { position } = button.dataset;
    const column = position in VERDICTS ? position : turn.order[position];
    button.setAttribute("aria-pressed", choice !== undefined && choice === column);
  }
}

function ballotButtons(turn) {
  const better = turn.order.map((_, position) => [position, letter(position), say("is_best", { letter: letter(position) })]);
  const others = Object.entries(VERDICTS).map(([verdict, label]) => [verdict, label, label]);
  return [...better, ...others].map(([position, text, label]) => {
    const button = element("button", "", text);
    button.type = "button";
    button.dataset.position = position;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", () => vote(turn, position));
    return button;
  });
}

/* Vote for a position, or "tie" or "none"; voting the same again withdraws the vote. Where no turn is chosen, choose one. */
function vote(turn, position) {
  if (!turn) return advance();
  if ((position in VERDICTS) === (position in turn.order)) return;
  const { at } = turn.element.dataset;
  const choice = position in VERDICTS ? position : turn.order[position];
  const withdrawn = votes.get(at)?.choice === choice;
  if (withdrawn) votes.delete(at);
  else votes.set(at, { choice, order: [...turn.order], repeat: turn.repeats[turn.at], at: new Date().toISOString() });
  saveVotes();
  draw();
  if (!withdrawn) advance(turn);
}

/* Go to the next turn without a vote, round to the first; stay where none is left. */
function advance(turn) {
  const open = toVoteOn().filter((each) => !votes.has(each.element.dataset.at));
  const next = open.find((each) => turns.indexOf(each) > turns.indexOf(turn)) ?? open[0];
  if (next) goTo(next);
}

/* Return the turns to vote on. */
function toVoteOn() {
  return turns.filter(hasChoice);
}

/* Return whether two replies of a turn differ; a column without a reply is nothing to choose. */
function hasChoice(turn) {
  const replies = turn.cells.map((_, column) => turn.textOf(column)?.trim()).filter(Boolean);
  return new Set(replies).size > 1;
}

// Votes are kept in the browser's storage, if it allows that

function loadVotes() {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY)) ?? {};
  } catch {
    return {};
  }
}

function saveVotes() {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(Object.fromEntries(votes)));
  } catch {
    // If storage is full or forbidden, votes last as long as the page.
  }
}

// Counting and export

function tally() {
  const counts = [...data.columns.keys(), ...Object.keys(VERDICTS)].map((choice) => [choice, 0]);
  const count = new Map(counts);
  for (const { choice } of votes.values()) count.set(choice, count.get(choice) + 1);
  return [...count].map(([choice, n]) => ({ choice: words.targets[choice] ?? choice, votes: n }));
}

function drawTally() {
  document.getElementById("votes").hidden = votes.size === 0;
  const all = toVoteOn().length;
  const counted = all ? say("voted", { votes: votes.size, turns: all }) : words.all_alike;
  document.getElementById("voted").textContent = counted;
  document.getElementById("voted-all").textContent = counted;
  const rows = state.blind ? [] : tally();
  document.querySelector("#tally tbody").replaceChildren(
    ...rows.map(({ choice, votes: n }) => {
      const row = element("tr", "");
      const name = element("th", "", VERDICTS[choice] ?? choice);
      name.scope = "row";
      row.append(name, element("td", "", String(n)));
      return row;
    }),
  );
}

/* Of several runs, the file lists them, and each vote has the number of the run of each target and of the winner. */
function exportedVotes() {
  const several = data.runs.length > 1;
  const cast = [...votes].map(([at, { choice, order, repeat, at: when }]) => ({
    case: data.turns[at].case,
    turn: data.turns[at].turn,
    repeat,
    targets: order.map((column) => data.targets[column]),
    ...(several && { runs: order.map((column) => data.run_of[column]) }),
    winner: data.targets[choice] ?? choice,
    ...(several && { winner_run: data.run_of[choice] ?? null }),
    at: when,
  }));
  const ids = several ? { run_id: null, suite_digest: null, runs: data.runs } : data.runs[0];
  const voter = document.getElementById("voter").value.trim();
  return { format: 1, ...ids, voter: voter || null, votes: cast };
}

document.getElementById("blind").addEventListener("click", KEYS.b);
document.getElementById("export").addEventListener("click", () => {
  const link = document.createElement("a");
  link.download = `votes-${data.id}.json`;
  link.href = URL.createObjectURL(new Blob([JSON.stringify(exportedVotes(), null, 2)], { type: "application/json" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
});
document.getElementById("clear").addEventListener("click", () => {
  votes.clear();
  saveVotes();
  draw();
});

readAddress();
draw();
watchRows();
if (state.row !== null) bringIntoView(turns[state.row]);
