// What only the lab's report has: strips that share the charts' crosshair and zoom, flame graphs that zoom and search.
"use strict";
(() => {
  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));

  // ---- strips ------------------------------------------------------------------------------------------------
  const fixed = (x) => Number(x.toFixed(x < 10 ? 2 : 1));
  class Strip {
    constructor(figure) {
      this.figure = figure;
      this.rows = [...figure.querySelectorAll(".strip-svg")];
      this.box = figure.querySelector(".strip-rows");
      this.data = JSON.parse(figure.querySelector(".strip-data").textContent).rows
        .map(({ name, texts }) => ({ name, texts: texts.flatMap(([n, text]) => Array(n).fill(text)) }));
      this.columns = Number(figure.dataset.columns);
      this.full = figure.dataset.span.split(" ").map(Number);
      this.span = this.full;
      this.ticks = figure.querySelector(".strip-ticks");
      this.allTicks = [...this.ticks.childNodes];
      this.rows.forEach((svg, row) => {
        svg.addEventListener("pointermove", (event) => this.hover(event, svg, row));
        svg.addEventListener("pointerleave", () => { this.leave(); tell("seawall:leave", { from: this }); });
      });
      document.addEventListener("seawall:mark", (event) => { if (event.detail.from !== this) this.mark(event.detail.x); });
      document.addEventListener("seawall:leave", (event) => { if (event.detail.from !== this) this.leave(); });
      document.addEventListener("seawall:zoom", (event) => this.view(event.detail.range));
    }
    hover(event, svg, row) {
      const box = svg.getBoundingClientRect();
      const part = Math.min(0.99999, Math.max(0, (event.clientX - box.left) / box.width));
      const x = this.span[0] + part * (this.span[1] - this.span[0]);
      this.mark(x);
      const column = Math.floor(((x - this.full[0]) / (this.full[1] - this.full[0])) * this.columns);
      const text = this.data[row].texts[Math.min(this.columns - 1, Math.max(0, column))] || "not known";
      this.tip ??= Object.assign(document.createElement("div"), { className: "tip" });
      const head = document.createElement("b");
      head.textContent = `${this.data[row].name} · ${fixed(x)} s`;
      const line = document.createElement("div");
      line.textContent = text;
      this.tip.replaceChildren(head, line);
      this.box.append(this.tip);
      const outer = this.box.getBoundingClientRect();
      const left = Math.min(event.clientX - outer.left + 14, outer.width - this.tip.offsetWidth);
      this.tip.style.transform = `translate(${Math.max(0, left)}px, ${box.bottom - outer.top + 6}px)`;
      tell("seawall:mark", { from: this, x });
    }
    mark(x) {
      const first = this.rows[0].getBoundingClientRect();
      const part = (x - this.span[0]) / (this.span[1] - this.span[0]);
      if (this.outside || !(part >= 0 && part <= 1)) { this.line?.remove(); return; }
      this.line ??= Object.assign(document.createElement("div"), { className: "strip-line" });
      this.line.style.left = `${first.left - this.box.getBoundingClientRect().left + part * first.width}px`;
      this.box.append(this.line);
    }
    leave() { this.line?.remove(); this.tip?.remove(); }
    view(range) {
      this.leave();
      const [from, to] = this.full;
      this.span = range ? [Math.max(from, range[0]), Math.min(to, range[1])] : this.full;
      this.outside = this.span[1] <= this.span[0]; // nothing was seen in that time: an empty place beside the drawing
      const at = (x) => ((x - from) / (to - from)) * this.columns;
      const box = this.outside ? `${this.columns} 0 1 1` : `${at(this.span[0])} 0 ${at(this.span[1]) - at(this.span[0])} 1`;
      for (const svg of this.rows) svg.setAttribute("viewBox", box);
      if (this.outside) { this.ticks.replaceChildren(); return; }
      if (!range) { this.ticks.replaceChildren(...this.allTicks); return; }
      const marks = [0.1, 0.3, 0.5, 0.7, 0.9].map((part) => {
        const mark = document.createElement("i");
        mark.style.left = `${part * 100}%`;
        mark.textContent = String(fixed(this.span[0] + part * (this.span[1] - this.span[0])));
        return mark;
      });
      this.ticks.replaceChildren(...marks);
    }
  }
  const strips = [...document.querySelectorAll("figure.strip")].map((figure) => new Strip(figure));

  // ---- flame graphs ------------------------------------------------------------------------------------------
  class Flame {
    constructor(figure) {
      this.boxes = [...figure.querySelectorAll(".flame-boxes i")].map((box) => ({
        box, name: box.textContent, left: parseFloat(box.style.left), width: parseFloat(box.style.width),
        depth: Math.round(parseFloat(box.style.top) / 19), change: box.dataset.c,
      }));
      this.total = Number(figure.dataset.total);
      this.unit = figure.dataset.unit;
      this.out = figure.querySelector("output");
      this.input = figure.querySelector("input");
      this.resting = "";
      if (!this.boxes.length) return;
      this.input.hidden = false;
      this.input.addEventListener("input", () => this.search(this.input.value));
      this.figure = figure;
      for (const one of this.boxes) {
        one.box.addEventListener("pointerenter", () => { this.out.textContent = this.words(one); });
        one.box.addEventListener("pointerleave", () => { this.out.textContent = this.resting; });
        one.box.addEventListener("click", () => this.zoom(one));
      }
    }
    words(one) {
      const share = one.width / 100;
      const change = one.change === undefined ? "" : ` · ${one.change > 0 ? "+" : "−"}${Math.abs(one.change * 100).toFixed(1)} points`;
      return `${one.name}: ${(share * 100).toFixed(1)} %${this.amount(share)}${change}`;
    }
    amount(share) {
      const value = this.total * share;
      if (this.unit === "bytes") return `, ${(value / 1048576).toFixed(1)} MiB`;
      return value >= 1 ? `, ${value.toFixed(2)} s` : `, ${(value * 1000).toFixed(1)} ms`;
    }
    zoom(to) {
      const end = to.left + to.width;
      for (const one of this.boxes) {
        const inside = one.left >= to.left - 1e-6 && one.left + one.width <= end + 0.011 && one.depth >= to.depth;
        const above = one.depth < to.depth && one.left <= to.left + 1e-6 && one.left + one.width >= end - 0.011;
        one.box.hidden = !(inside || above);
        one.box.classList.toggle("above", above);
        const [left, width] = above ? [0, 100] : [((one.left - to.left) / to.width) * 100, (one.width / to.width) * 100];
        one.box.style.left = `${left}%`;
        one.box.style.width = `${Math.min(100, width)}%`;
      }
      this.reset ??= Object.assign(document.createElement("button"), { type: "button", textContent: "Show all", className: "unflame" });
      this.reset.onclick = () => this.all();
      this.out.before(this.reset);
    }
    all() {
      for (const one of this.boxes) {
        one.box.hidden = false;
        one.box.classList.remove("above");
        one.box.style.left = `${one.left}%`;
        one.box.style.width = `${one.width}%`;
      }
      this.reset.remove();
    }
    search(text) {
      const wanted = text.trim().toLowerCase();
      let share = 0;
      let end = -1;
      const found = this.boxes.filter((one) => wanted && one.name.toLowerCase().includes(wanted));
      for (const one of this.boxes) one.box.classList.toggle("found", found.includes(one));
      // A box inside one that was counted already adds nothing.
      for (const one of [...found].sort((a, b) => a.left - b.left || b.width - a.width)) {
        if (one.left >= end - 1e-6) { share += one.width; end = one.left + one.width; }
      }
      this.resting = wanted ? `${found.length} boxes, ${share.toFixed(1)} % of the whole` : "";
      this.out.textContent = this.resting;
    }
  }
  const flames = [...document.querySelectorAll("figure.flame")].map((figure) => new Flame(figure));
  document.documentElement.dataset.lab = `${strips.length} ${flames.length}`;
})();
