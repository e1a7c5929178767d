"use strict";
/* The page's texts in its other language: the one that the address names, else the one that the page was written in on
   demand, else that of the reader's browser. Switching loads the page anew, so that the other scripts follow. */

{
  const root = document.documentElement;
  const button = document.getElementById("language");
  const here = root.lang;
  const there = button.dataset.language;
  const parameters = () => new URLSearchParams(location.hash.slice(1));
  const ofReader = navigator.language.split("-")[0] === there.split("-")[0] ? there : here;
  const wanted = parameters().get("lang") ?? (button.dataset.chosen === undefined ? ofReader : here);

  if (wanted === there) {
    root.lang = there;
    [button.dataset.language, button.lang] = [here, here];
    button.textContent = { en: "English" }[here] ?? "中文";
    const parts = [document, ...[...document.querySelectorAll("template")].map((template) => template.content)];
    for (const part of parts) {
      for (const each of part.querySelectorAll("[data-other]")) each.textContent = each.dataset.other;
    }
    for (const name of ["aria-label", "placeholder"]) {
      for (const each of document.querySelectorAll(`[data-other-${name}]`)) {
        each.setAttribute(name, each.getAttribute(`data-other-${name}`));
      }
    }
  }

  button.addEventListener("click", () => {
    const changed = parameters();
    changed.set("lang", root.lang === here ? there : here);
    location.hash = changed.toString();
    location.reload();
  });
}
