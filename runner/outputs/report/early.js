"use strict";
/* Runs before anything is drawn: a page that is opened blind must not show a name for even one frame. */

document.documentElement.classList.add("js");
document.documentElement.toggleAttribute("data-blind", new URLSearchParams(location.hash.slice(1)).has("blind"));
