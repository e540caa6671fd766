"use strict";
const boxes = [...document.querySelectorAll("g[data-x]")];
const letter = 6.6, left = 10, width = 1180;
const names = new Map(boxes.map(g => [g, g.querySelector("title").textContent.replace(/ \([^()]*\)$/, "")]));
function place(g, x, w) {
  g.style.display = w < 0.25 ? "none" : "";
  const [rect, text] = [g.querySelector("rect"), g.querySelector("text")];
  rect.setAttribute("x", x);
  rect.setAttribute("width", Math.max(w, 0));
  text.setAttribute("x", x + 3);
  const room = Math.floor((w - 6) / letter), name = names.get(g);
  text.textContent = name.length <= room ? name : room < 3 ? "" : name.slice(0, room - 2) + "..";
}
function zoom(to) {
  const x0 = +to.dataset.x, w0 = +to.dataset.w, y0 = +to.querySelector("rect").getAttribute("y");
  for (const g of boxes) {
    const x = +g.dataset.x, w = +g.dataset.w, below = +g.querySelector("rect").getAttribute("y") > y0;
    if (below && x <= x0 + 0.01 && x + w >= x0 + w0 - 0.01) place(g, left, width);
    else if (below || x + w <= x0 + 0.01 || x >= x0 + w0 - 0.01) place(g, 0, 0);
    else place(g, left + (x - x0) / w0 * width, w / w0 * width);
  }
}
boxes.forEach(g => g.addEventListener("click", () => zoom(g)));
document.getElementById("find").addEventListener("click", () => {
  const text = prompt("Mark what contains:", "");
  if (text !== null)
    boxes.forEach(g => g.classList.toggle("marked", text !== "" && names.get(g).includes(text)));
});
