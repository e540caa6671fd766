// The report's behaviour: theme, read-out under the pointer, zoom by dragging, copy and download.
// The page is complete without it. All text goes in as text, never as markup.
"use strict";
(() => {
  const root = document.documentElement;
  const SVG = "http://www.w3.org/2000/svg";

  // ---- theme -------------------------------------------------------------------------------------------------
  const themeButton = document.getElementById("theme");
  const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
  const remember = (theme) => { try { localStorage.setItem("seawall-theme", theme); } catch { /* a file may have no storage */ } };
  const recall = () => { try { return localStorage.getItem("seawall-theme"); } catch { return null; } };
  const nameTheme = () => { themeButton.textContent = isDark() ? "Light" : "Dark"; };
  const wished = new URLSearchParams(location.search).get("theme") || recall();
  if (wished === "dark" || wished === "light") root.dataset.theme = wished;
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    nameTheme();
  });
  systemDark.addEventListener("change", nameTheme);
  nameTheme();
  // Paper is white.
  let beforePrint;
  window.addEventListener("beforeprint", () => { beforePrint = root.dataset.theme; root.dataset.theme = "light"; });
  window.addEventListener("afterprint", () => {
    if (beforePrint) root.dataset.theme = beforePrint; else delete root.dataset.theme;
  });

  // ---- numbers -----------------------------------------------------------------------------------------------
  const plain = (x) => {
    const size = Math.abs(x);
    const digits = size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 4;
    return Number(x.toFixed(digits)).toLocaleString("en-US", { maximumFractionDigits: 4 });
  };
  const bytes = (x) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let i = 0;
    while (x >= 1024 && i < units.length - 1) { x /= 1024; i += 1; }
    return `${plain(x)} ${units[i]}`;
  };
  const format = (x, unit) => {
    switch (unit) {
      case "ms": return x >= 1000 ? `${plain(x / 1000)} s` : x >= 1 || x === 0 ? `${plain(x)} ms` : `${plain(x * 1000)} µs`;
      case "rps": return `${plain(x)}/s`;
      case "s": return `${x.toFixed(2)} s`;
      case "bytes": return bytes(x);
      case "cores": return `${plain(x)} cores`;
      case "q": {
        const digits = Math.min(6, Math.max(0, Math.ceil(Math.log10(x)) - 1));
        return `${(100 * (1 - 1 / x)).toFixed(digits)} %`;
      }
      default: return plain(x);
    }
  };
  const tick = (x) => {
    const size = Math.abs(x);
    const [value, suffix] = size >= 1e6 ? [x / 1e6, "M"] : size >= 1e3 ? [x / 1e3, "k"] : [x, ""];
    return Number(value.toFixed(3)) + suffix;
  };
  const niceTicks = (lo, hi, wanted) => {
    const raw = (hi - lo) / wanted;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999999);
    const ticks = [];
    for (let i = Math.ceil(lo / step - 1e-9); i * step <= hi + 1e-9 * step; i += 1) ticks.push(i * step);
    return ticks;
  };

  // ---- charts ------------------------------------------------------------------------------------------------
  const make = (name, attributes, parent) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (parent) parent.append(element);
    return element;
  };
  const axis = (text) => {
    const [kind, lo, hi] = text.split(" ");
    const f = kind === "log" ? Math.log : (v) => v;
    const g = kind === "log" ? Math.exp : (v) => v;
    return { kind, lo: +lo, hi: +hi, f, g };
  };
  const share = (scale, value) => (scale.f(value) - scale.f(scale.lo)) / (scale.f(scale.hi) - scale.f(scale.lo));
  const valueAt = (scale, part) => scale.g(scale.f(scale.lo) + part * (scale.f(scale.hi) - scale.f(scale.lo)));

  const charts = [];
  const inGroup = (chart) => charts.filter((other) => other === chart || (chart.group && other.group === chart.group));

  class Drawing {
    constructor(chart, svg) {
      this.chart = chart;
      this.svg = svg;
      [this.left, this.top, this.width, this.height] = svg.dataset.plot.split(" ").map(Number);
      this.full = axis(svg.dataset.x);
      this.x = { ...this.full };
      this.y = axis(svg.dataset.y);
      this.marks = svg.querySelectorAll(".stretch");
      this.ticks = svg.querySelector(".x-ticks");
      this.labels = svg.querySelector(".region-labels");
      this.box = Number(svg.viewBox.baseVal.width);
      this.overlay = make("g", {}, svg);
      this.zoomed = null;
      this.listen();
    }
    px(x) { return this.left + share(this.x, x) * this.width; }
    py(y) { return this.top + (1 - share(this.y, y)) * this.height; }
    /** The pointer in the drawing's own coordinates. */
    at(event) {
      const box = this.svg.getBoundingClientRect();
      const scale = this.box / box.width;
      return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    }
    inside(px) { return Math.min(this.left + this.width, Math.max(this.left, px)); }
    listen() {
      const { svg } = this;
      let from = null;
      svg.addEventListener("pointermove", (event) => {
        const [px, py] = this.at(event);
        if (from !== null) {
          this.brush(from, this.inside(px));
          return;
        }
        if (px < this.left - 8 || px > this.left + this.width + 8) this.chart.leave();
        else this.chart.hover(valueAt(this.x, (this.inside(px) - this.left) / this.width), this, py);
      });
      svg.addEventListener("pointerleave", () => { if (from === null) this.chart.leave(); });
      svg.addEventListener("pointerdown", (event) => {
        if (!this.chart.group || event.button !== 0 || event.pointerType === "touch") return;
        const [px, py] = this.at(event);
        if (px < this.left || px > this.left + this.width || py > this.top + this.height + 4) return;
        from = px;
        svg.setPointerCapture(event.pointerId);
        event.preventDefault();
      });
      svg.addEventListener("pointerup", (event) => {
        if (from === null) return;
        const to = this.inside(this.at(event)[0]);
        const [a, b] = [Math.min(from, to), Math.max(from, to)];
        from = null;
        this.clear();
        if (b - a > 6) this.chart.zoom([a, b].map((px) => valueAt(this.x, (px - this.left) / this.width)));
      });
      svg.addEventListener("dblclick", () => this.chart.zoom(null));
    }
    clear() { this.overlay.replaceChildren(); }
    brush(from, to) {
      this.clear();
      const width = Math.abs(to - from);
      make("rect", { class: "brush", x: Math.min(from, to), y: this.top, width, height: this.height }, this.overlay);
    }
    cross(x, rows) {
      this.clear();
      const px = this.px(x);
      if (px < this.left - 1 || px > this.left + this.width + 1) return;
      make("line", { class: "cross", x1: px, x2: px, y1: this.top, y2: this.top + this.height }, this.overlay);
      for (const row of rows) {
        const y = this.py(row.top);
        if (Number.isFinite(y)) make("circle", { class: `cross-dot ${row.tone}`, cx: this.px(row.x), cy: y, r: 4 }, this.overlay);
      }
    }
    /** Shows only `range` of x by stretching the marks; `null` shows all. */
    view(range) {
      this.x = range ? { ...this.full, lo: range[0], hi: range[1] } : { ...this.full };
      this.clear();
      const factor = (this.full.hi - this.full.lo) / (this.x.hi - this.x.lo);
      const shift = this.left - (this.left + share(this.full, this.x.lo) * this.width) * factor;
      for (const marks of this.marks) marks.setAttribute("transform", range ? `translate(${shift} 0) scale(${factor} 1)` : "");
      this.ticks.style.display = range ? "none" : "";
      this.labels.style.display = range ? "none" : "";
      this.zoomed?.remove();
      this.zoomed = range ? this.newTicks() : null;
    }
    newTicks() {
      const group = make("g", { class: "axis" }, this.svg);
      const bottom = this.top + this.height;
      for (const value of niceTicks(this.x.lo, this.x.hi, Math.max(2, Math.floor(this.width / 76)))) {
        const px = this.px(value);
        make("line", { class: "tick", x1: px, x2: px, y1: bottom, y2: bottom + 5 }, group);
        make("text", { x: px, y: bottom + 19, "text-anchor": "middle" }, group).textContent = tick(value);
      }
      return group;
    }
  }

  class Chart {
    constructor(figure) {
      this.figure = figure;
      this.group = figure.dataset.group;
      this.data = JSON.parse(figure.querySelector(".chart-data").textContent);
      this.plots = figure.querySelector(".plots");
      this.drawings = [...figure.querySelectorAll(".chart-svg")].map((svg) => new Drawing(this, svg));
      this.tip = null;
      if (this.data.heat) this.cells = new Map(this.data.heat.cells.map(([x, y, n]) => [`${x} ${y}`, n]));
    }
    shown() { return this.drawings.find((drawing) => drawing.svg.getBoundingClientRect().width > 0); }
    /** The point of each series nearest to x, as rows for the tip; series with no point close by are left out. */
    rows(x, drawing) {
      const near = (series) => {
        let best = null;
        for (const [px, y, top = y, low] of series.points) {
          if (y === null) continue;
          const distance = Math.abs(drawing.px(px) - drawing.px(x));
          if (!best || distance < best.distance) best = { x: px, y, top, low, distance };
        }
        return best && { ...best, name: series.name, tone: series.tone };
      };
      const all = this.data.series.map(near).filter(Boolean);
      const closest = Math.min(...all.map((row) => row.distance));
      return all.filter((row) => row.distance <= closest + 6);
    }
    /** How many requests fell into the cell of a heat map under the pointer. */
    cell(x, drawing, py) {
      const heat = this.data.heat;
      if (!heat) return null;
      const latency = valueAt(drawing.y, 1 - (py - drawing.top) / drawing.height);
      const row = Math.floor((Math.log(latency / heat.low) / Math.log(heat.high / heat.low)) * heat.rows);
      const count = this.cells.get(`${Math.floor((x - heat.start) / heat.step)} ${row}`) || 0;
      return `${plain(count)} near ${format(latency, this.data.yUnit)}`;
    }
    hover(x, drawing, py) {
      const rows = this.rows(x, drawing);
      if (!rows.length) return;
      const at = rows.reduce((a, b) => (a.distance <= b.distance ? a : b)).x;
      drawing.cross(at, rows);
      this.showTip(at, rows, drawing, py, this.cell(x, drawing, py));
      for (const other of inGroup(this)) if (other !== this) other.mark(at);
      if (this.group === "time") document.dispatchEvent(new CustomEvent("seawall:mark", { detail: { from: this, x: at } }));
    }
    /** Shows where x is, without a tip. */
    mark(x) {
      const shown = this.shown();
      if (shown) shown.cross(x, this.rows(x, shown));
    }
    showTip(x, rows, drawing, py, cell) {
      if (!this.tip) {
        this.tip = document.createElement("div");
        this.tip.className = "tip";
        this.plots.append(this.tip);
      }
      const head = document.createElement("b");
      head.textContent = format(x, this.data.xUnit);
      const lines = rows.map((row) => {
        const line = document.createElement("div");
        line.className = row.tone;
        const value = row.low === undefined ? format(row.y, this.data.yUnit)
          : `${format(row.low, this.data.yUnit)} – ${format(row.y, this.data.yUnit)}`;
        for (const text of [row.name, value]) {
          const cell = document.createElement("span");
          cell.textContent = text;
          line.append(cell);
        }
        return line;
      });
      this.tip.replaceChildren(head, ...lines);
      if (cell) {
        const line = document.createElement("div");
        for (const text of ["requests", cell]) line.append(Object.assign(document.createElement("span"), { textContent: text }));
        this.tip.append(line);
      }
      const scale = drawing.svg.getBoundingClientRect().width / drawing.box;
      const px = drawing.px(x) * scale;
      const flip = px + this.tip.offsetWidth + 16 > this.plots.clientWidth;
      const left = flip ? Math.max(0, px - this.tip.offsetWidth - 12) : px + 12;
      const top = Math.max(0, Math.min(py * scale - 20, this.plots.clientHeight - this.tip.offsetHeight));
      this.tip.style.transform = `translate(${left}px, ${top}px)`;
    }
    leave() {
      this.tip?.remove();
      this.tip = null;
      for (const chart of inGroup(this)) for (const drawing of chart.drawings) drawing.clear();
      if (this.group === "time") document.dispatchEvent(new CustomEvent("seawall:leave", { detail: { from: this } }));
    }
    zoom(range) {
      this.leave();
      for (const chart of inGroup(this)) chart.view(range);
      if (this.group === "time") document.dispatchEvent(new CustomEvent("seawall:zoom", { detail: { range } }));
    }
    view(range) {
      for (const drawing of this.drawings) drawing.view(range);
      this.reset?.remove();
      this.reset = null;
      if (!range) return;
      this.reset = document.createElement("button");
      this.reset.type = "button";
      this.reset.className = "unzoom";
      this.reset.textContent = "Show all";
      this.reset.addEventListener("click", () => this.zoom(null));
      this.plots.append(this.reset);
    }
  }

  for (const figure of document.querySelectorAll("figure.chart")) {
    if (figure.querySelector(".chart-data")) charts.push(new Chart(figure));
  }

  // Strips and charts over time share one crosshair.
  const others = (event) => (event.detail.from instanceof Chart ? [] : charts.filter((chart) => chart.group === "time"));
  document.addEventListener("seawall:mark", (event) => { for (const chart of others(event)) chart.mark(event.detail.x); });
  document.addEventListener("seawall:leave", (event) => {
    for (const chart of others(event)) for (const drawing of chart.drawings) drawing.clear();
  });

  // ---- copy and download -------------------------------------------------------------------------------------
  const copy = document.getElementById("copy");
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById("command").textContent);
      copy.textContent = "Copied";
    });
  }
  const download = document.getElementById("download");
  download.hidden = false;
  download.addEventListener("click", () => {
    const link = document.createElement("a");
    const text = document.getElementById("report-data").textContent;
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = "seawall-report.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  root.dataset.ready = String(charts.length);
})();
