"use strict";
/* The page's texts in its other language, if the address names that one. Switching loads the page anew, so that the other
   scripts follow. */

{
  const root = document.documentElement;
  const button = document.getElementById("language");
  const here = root.lang;
  const there = button.dataset.language;
  const parameters = () => new URLSearchParams(location.hash.slice(1));
  const SVG = "http://www.w3.org/2000/svg";

  /* A label of a chart may hold its tooltip, which stays. */
  function write(element, text) {
    const isLabel = element.namespaceURI === SVG && element.firstElementChild;
    if (isLabel) element.lastChild.data = text;
    else element.textContent = text;
  }

  if (parameters().get("lang") === there) {
    root.lang = there;
    [button.dataset.language, button.lang] = [here, here];
    button.textContent = button.dataset.here;
    const parts = [document, ...[...document.querySelectorAll("template")].map((template) => template.content)];
    for (const part of parts) {
      for (const each of part.querySelectorAll("[data-other]")) write(each, each.dataset.other);
      for (const each of part.querySelectorAll("[data-swap]")) each.replaceChildren(each.querySelector("template").content);
      for (const name of ["aria-label", "placeholder", "data-reading"]) {
        for (const each of part.querySelectorAll(`[data-other-${name}]`)) {
          each.setAttribute(name, each.getAttribute(`data-other-${name}`));
        }
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
