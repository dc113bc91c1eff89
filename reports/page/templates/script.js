"use strict";
const status = document.getElementById("status");

function say(text) {
  status.textContent = text;
  setTimeout(() => { status.textContent = ""; }, 2500);
}

async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    say("Copied");
  } catch {
    getSelection().selectAllChildren(element);
    say("Selected: press Ctrl+C to copy");
  }
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(document.getElementById(button.dataset.copy)));
}

function open_target() {
  document.getElementById(location.hash.slice(1))?.closest("details")?.setAttribute("open", "");
}

addEventListener("hashchange", open_target);
open_target();
