"use strict";

const viewer = document.getElementById("viewer");
const title = document.getElementById("viewer-title");
const position = document.getElementById("viewer-position");
const body = document.getElementById("viewer-body");
const cards = [...document.querySelectorAll("button.card")];
let shown = -1;

function show(at) {
  shown = (at + cards.length) % cards.length;
  const { person, position: text } = cards[shown].dataset;
  title.textContent = `Person ${person}`;
  position.textContent = text;
  body.replaceChildren(document.getElementById(`details-${person}`).content.cloneNode(true));
  if (!viewer.open) {
    viewer.showModal();
    title.focus();
  }
  viewer.scrollTop = 0;
  history.replaceState(null, "", `#person-${person}`);
}

function followAddress() {
  const person = location.hash.startsWith("#person-") ? location.hash.slice("#person-".length) : null;
  const at = cards.findIndex((card) => card.dataset.person === person);
  if (at >= 0) {
    show(at);
  } else if (viewer.open) {
    viewer.close();
  }
}

cards.forEach((card, at) => card.addEventListener("click", () => show(at)));
document.getElementById("previous").addEventListener("click", () => show(shown - 1));
document.getElementById("next").addEventListener("click", () => show(shown + 1));
document.getElementById("close").addEventListener("click", () => viewer.close());

viewer.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && !event.target.closest(".table, .chart") && !event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    show(shown + step);
  }
});
// Pressing outside the dialog closes the dialog. Not "click", because a drag from inside to outside must not close the dialog.
viewer.addEventListener("pointerdown", (event) => {
  const box = viewer.getBoundingClientRect();
  const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  if (event.target === viewer && !inside) {
    viewer.close();
  }
});
viewer.addEventListener("close", () => {
  body.replaceChildren();
  if (location.hash.startsWith("#person-")) {
    history.replaceState(null, "", "#persons");
  }
  cards[shown].focus();
});

window.addEventListener("hashchange", followAddress);
followAddress();
