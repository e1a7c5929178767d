"use strict";
/* The word diff of two texts: the words of runner/analysis/word_diff.py, aligned by the algorithm of E. W. Myers
   ("An O(ND) Difference Algorithm and Its Variations", Algorithmica 1, 1986). */

const SINGLE_CHARACTER_WORDS = "\\u2E80-\\u312F\\u31A0-\\u9FFF\\uF900-\\uFAFF\\uFF00-\\uFFEF\\u{20000}-\\u{3FFFF}";
const WORD = new RegExp(`[^\\S\\uFEFF]+|(?:(?![${SINGLE_CHARACTER_WORDS}])[\\p{L}\\p{N}\\p{M}])+|.`, "gsu");

/* Beyond these limits, marks would hide the text instead of explaining it, and take long to find. */
const MIN_SHARED = 0.4;
const MAX_EDITS = 2000;

function tokenize(text) {
  return text.match(WORD) ?? [];
}

/* Return pieces {change: "same" | "removed" | "added", text}; null where the texts share too few words. */
function diffWords(before, after) {
  const [old, fresh] = [tokenize(before), tokenize(after)];
  const trail = findEdits(old, fresh, Math.min(MAX_EDITS, old.length + fresh.length));
  const steps = trail && retrace(trail, old, fresh);
  return steps && sharesEnough(steps, old, fresh) ? joinAcrossBlanks(joinNeighbours(steps)) : null;
}

/* Return whether enough words are the same; blanks are no words, since any two texts share them. */
function sharesEnough(steps, old, fresh) {
  const words = countWords(old) + countWords(fresh);
  return 2 * countWords(steps.filter(({ change }) => change === "same").map(({ text }) => text)) >= MIN_SHARED * words;
}

function countWords(tokens) {
  return tokens.filter((token) => token.trim()).length;
}

/* Return, for each number of edits, the furthest point reached on each diagonal before it; null where `most` edits are
   not enough. */
function findEdits(old, fresh, most) {
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

/* Follow the edits back from the end of both texts; return the steps in reading order. */
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
function joinNeighbours(steps) {
  const runs = [];
  for (const { change, text } of steps) {
    if (runs.at(-1)?.change === change) runs.at(-1).text += text;
    else runs.push({ change, text });
  }
  return runs;
}

/* Join changes with only blanks between them, removed before added; otherwise every second piece would be a blank. */
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
