"use strict";
/* What changed between two texts, in words: the words of runner/analysis/wording.py, aligned as E. W. Myers does
   ("An O(ND) Difference Algorithm and Its Variations", Algorithmica 1, 1986). */

const ONE_BY_ONE = "\\u2E80-\\u312F\\u31A0-\\u9FFF\\uF900-\\uFAFF\\uFF00-\\uFFEF\\u{20000}-\\u{3FFFF}";
const WORD = new RegExp(`[^\\S\\uFEFF]+|(?:(?![${ONE_BY_ONE}])[\\p{L}\\p{N}\\p{M}])+|.`, "gsu");

/* Beyond these, marks would hide the text instead of explaining it, and take long to find. */
const LEAST_SHARE = 0.4;
const MOST_EDITS = 2000;

function tokenize(text) {
  return text.match(WORD) ?? [];
}

/* Return pieces {change: "same" | "removed" | "added", text}; null where the texts share too little. */
function diffWords(before, after) {
  const [old, fresh] = [tokenize(before), tokenize(after)];
  const most = Math.min(MOST_EDITS, Math.floor((1 - LEAST_SHARE) * (old.length + fresh.length)));
  const trail = search(old, fresh, most);
  return trail && joinAcrossBlanks(gather(retrace(trail, old, fresh)));
}

/* Return for each number of edits how far one came along each diagonal before it; null where `most` do not do. */
function search(old, fresh, most) {
  const middle = most + 1;
  const reached = new Int32Array(2 * most + 3);
  const trail = [];
  for (let edits = 0; edits <= most; edits++) {
    trail.push(reached.slice(middle - edits - 1, middle + edits + 2));
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      const at = middle + diagonal;
      let x = goesDown(diagonal, edits, reached[at - 1], reached[at + 1]) ? reached[at + 1] : reached[at - 1] + 1;
      while (x < old.length && x - diagonal < fresh.length && old[x] === fresh[x - diagonal]) x++;
      reached[at] = x;
      if (x >= old.length && x - diagonal >= fresh.length) return trail;
    }
  }
  return null;
}

function goesDown(diagonal, edits, left, right) {
  return diagonal === -edits || (diagonal !== edits && left < right);
}

/* Walk a search back from the end of both texts; return its steps in reading order. */
function retrace(trail, old, fresh) {
  const steps = [];
  let [x, y] = [old.length, fresh.length];
  for (let edits = trail.length - 1; edits >= 0; edits--) {
    const reached = trail[edits];
    const at = x - y + edits + 1;
    const down = goesDown(x - y, edits, reached[at - 1], reached[at + 1]);
    const fromX = edits === 0 ? 0 : down ? reached[at + 1] : reached[at - 1];
    const fromY = edits === 0 ? 0 : fromX - (x - y) + (down ? -1 : 1);
    for (; x > fromX && y > fromY; x--, y--) steps.push({ change: "same", text: old[x - 1] });
    if (edits > 0) steps.push(down ? { change: "added", text: fresh[fromY] } : { change: "removed", text: old[fromX] });
    [x, y] = [fromX, fromY];
  }
  return steps.reverse();
}

/* Join neighbouring steps of one kind. */
function gather(steps) {
  const runs = [];
  for (const { change, text } of steps) {
    if (runs.at(-1)?.change === change) runs.at(-1).text += text;
    else runs.push({ change, text });
  }
  return runs;
}

/* Join changes that only a blank keeps apart, removed before added: else every second piece would be a blank. */
function joinAcrossBlanks(runs) {
  const pieces = [];
  let [removed, added] = ["", ""];
  const close = () => {
    if (removed) pieces.push({ change: "removed", text: removed });
    if (added) pieces.push({ change: "added", text: added });
    [removed, added] = ["", ""];
  };
  for (const { change, text } of runs) {
    if (change === "same" && !((removed || added) && !text.trim())) {
      close();
      pieces.push({ change, text });
      continue;
    }
    if (change !== "added") removed += text;
    if (change !== "removed") added += text;
  }
  close();
  return pieces;
}
