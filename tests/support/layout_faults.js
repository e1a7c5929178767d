/* Return what is clipped outside of scrollers, lies outside the window, is smaller than 11 px, is a target's name that is
   broken inside a word, is a heading that leaves the scroller of its table, or is a summary that has to be scrolled on a
   desktop; each with what it says. */
() => {
  const shown = (each) => each.checkVisibility() && !each.closest(".hidden, legend, .skip, template, #reading");
  const describe = (each) => `${each.tagName.toLowerCase()}.${each.getAttribute("class") ?? ""}: ${each.textContent.trim().slice(0, 40)}`;
  const scrolls = (each) => ["auto", "scroll"].includes(getComputedStyle(each).overflowX);
  const inScroller = (each) => {
    for (let at = each; at; at = at.parentElement) if (scrolls(at)) return true;
    return false;
  };
  const [clipped, outside, small, broken] = [[], [], [], []];
  for (const each of document.querySelectorAll("body *")) {
    if (!shown(each) || each.closest("svg")) continue;
    const isBox = getComputedStyle(each).display !== "inline" && each.clientWidth > 1;
    if (isBox && each.scrollWidth > each.clientWidth + 1 && !inScroller(each)) clipped.push(describe(each));
    const box = each.getBoundingClientRect();
    const isOut = box.width > 1 && (box.right > innerWidth + 1 || box.left < -1);
    if (isOut && !inScroller(each.parentElement)) outside.push(describe(each));
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = texts.nextNode()); ) {
    const each = text.parentElement;
    if (!text.data.trim() || !shown(each) || each.closest("script, style, template, title, desc")) continue;
    const svg = each.closest("svg");
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const size = parseFloat(getComputedStyle(each).fontSize) * scale;
    if (size < 10.99) small.push(`${size.toFixed(1)} px ${describe(each)}`);
  }
  for (const name of document.querySelectorAll(".breakable")) {
    for (const part of shown(name) ? name.childNodes : []) {
      for (const word of part.nodeType === Node.TEXT_NODE ? part.data.matchAll(/\S+/g) : []) {
        const range = document.createRange();
        range.setStart(part, word.index);
        range.setEnd(part, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
        if (lines.size > 1) broken.push(describe(name));
      }
    }
  }
  const [lost, unfit] = [[], []];
  for (const scroller of document.querySelectorAll(".scroll")) {
    if (!shown(scroller)) continue;
    scroller.scrollTo(1e6, 1e6);
    const frame = scroller.getBoundingClientRect();
    for (const each of scroller.querySelectorAll("th")) {
      const box = each.getBoundingClientRect();
      const isAside = each.cellIndex === 0 && Math.abs(box.left - frame.left) > 2;
      const isAbove = each.closest("thead") && box.top < frame.top - 1;
      if (isAside || isAbove) lost.push(describe(each));
    }
    scroller.scrollTo(0, 0);
  }
  for (const table of document.querySelectorAll(".summary")) {
    const { scrollWidth, clientWidth } = table.parentElement;
    if (innerWidth >= 1000 && scrollWidth > clientWidth) unfit.push(`${scrollWidth} > ${clientWidth}`);
  }
  return { clipped, outside, small, broken, lost, unfit };
}
