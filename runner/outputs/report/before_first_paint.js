"use strict";
/* Runs in the head, before the first paint, so that a page that is opened blind never shows a name. */

document.documentElement.classList.add("js");
document.documentElement.toggleAttribute("data-blind", new URLSearchParams(location.hash.slice(1)).has("blind"));
