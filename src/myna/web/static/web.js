"use strict";

// What happens is said once, in a few words, to those who cannot see it.
const said = document.getElementById("said");
const say = (text) => { if (said.textContent !== text) said.textContent = text; };

document.addEventListener("htmx:before:request", (event) => {
  if (event.target.id === "ask" || event.target.id === "again") say("Working on it.");
});

document.addEventListener("htmx:after:swap", () => {
  const text = document.querySelector("main [data-say]")?.dataset.say;
  if (text) say(text);
});

// The answer comes below the form: on a small screen, out of sight.
document.addEventListener("htmx:after:swap", (event) => {
  const answer = document.getElementById("answer");
  if (!["ask", "again"].includes(event.detail.ctx.sourceElement.id) || !answer) return;
  if (answer.getBoundingClientRect().top > innerHeight - 160) answer.scrollIntoView();
});

// A server that does not answer cannot say why.
document.addEventListener("htmx:error", (event) => {
  const answer = document.getElementById("answer");
  if (!answer || !event.detail.ctx) return;
  tell("The server does not answer. Is `myna serve` still running?");
});

function tell(reason) {
  const refusal = document.createElement("div");
  refusal.className = "refusal";
  refusal.append(Object.assign(document.createElement("p"), { textContent: reason }));
  document.getElementById("answer").replaceChildren(refusal);
  say(reason);
}

// An example fills the field, so that it can be changed; or empties it, where its own photo is meant.
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-fills], button[data-clears]");
  if (!button) return;
  if (button.dataset.fills) document.getElementById(button.dataset.fills).value = button.value;
  else document.getElementById(button.dataset.clears).value = "";
}, true);

// A photo is sent when it is chosen or dropped, and may be dropped anywhere.
const photo = document.querySelector("input[data-sends]");
if (photo) {
  photo.addEventListener("change", () => { if (photo.files.length) photo.form.requestSubmit(); });
  addEventListener("dragover", (event) => { event.preventDefault(); photo.classList.add("over"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) photo.classList.remove("over"); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    photo.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    photo.files = event.dataTransfer.files;
    photo.form.requestSubmit();
  });
}
