/* Return every text of ours on a page: what is seen, read out, or shown by a pointer; no reply, prompt or name. */
() => {
  const OUTSIDE = "[lang]:not(html), .breakable, .label, kbd, code, pre, script, style, template";
  const found = new Set([document.title]);
  const add = (text) => text?.trim() && found.add(text.trim().replace(/\s+/g, " "));
  for (const each of document.querySelectorAll("details, dialog")) each.open = true;
  const read = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { parentElement: parent, data } = walker.currentNode;
      if (!parent?.closest(OUTSIDE)) add(data);
    }
    for (const each of root.querySelectorAll("*")) {
      for (const name of ["aria-label", "placeholder", "title", "data-reading"]) add(each.getAttribute(name));
    }
  };
  read(document.documentElement);
  for (const template of document.querySelectorAll("template[data-repeat]")) read(template.content);
  for (const each of document.querySelectorAll(".readings")) {
    for (const texts of Object.values(JSON.parse(each.textContent)[document.documentElement.lang])) texts.forEach(add);
  }
  for (const text of Object.values(JSON.parse(document.getElementById("words")?.textContent ?? "{}")[document.documentElement.lang] ?? {})) {
    if (typeof text === "string") add(text.replace(/\{\w+\}/g, "1"));
  }
  return [...found];
}
