"use strict";

// Tables sort by a click or a key on a header. Numbers start from the largest; what has no value stays last.
function compare(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
}

function sortBy(header) {
  const table = header.closest("table");
  const index = header.cellIndex;
  const was = header.getAttribute("aria-sort");
  const first = header.classList.contains("number") ? "descending" : "ascending";
  const order = !was ? first : was === "ascending" ? "descending" : "ascending";
  table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", order);
  const value = (row) => row.cells[index].dataset.value;
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    return sign * compare(x, y);
  });
  table.tBodies[0].append(...rows);
}

document.querySelectorAll("thead tr:last-child th").forEach((header) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  button.addEventListener("click", () => sortBy(header));
  header.append(button);
});

// A drawing tells the point that is nearest to the pointer or finger.
function distance(point, event) {
  const box = point.getBoundingClientRect();
  return Math.hypot(box.x + box.width / 2 - event.clientX, box.y + box.height / 2 - event.clientY);
}

document.querySelectorAll(".panel").forEach((panel) => {
  const points = [...panel.querySelectorAll(".point")];
  const output = panel.querySelector("output");
  if (!points.length) return;
  output.textContent = "Point at the drawing to read it.";
  const read = (event) => {
    const nearest = points.reduce((a, b) => (distance(b, event) < distance(a, event) ? b : a));
    points.forEach((point) => point.classList.toggle("near", point === nearest));
    output.textContent = nearest.querySelector("title").textContent;
  };
  const drawing = panel.querySelector(".drawing");
  drawing.addEventListener("pointermove", read);
  drawing.addEventListener("pointerdown", read);
});

// On paper nothing can be opened, so everything is.
addEventListener("beforeprint", () => {
  document.querySelectorAll("details:not([open])").forEach((part) => {
    part.open = true;
    addEventListener("afterprint", () => { part.open = false; }, { once: true });
  });
});
