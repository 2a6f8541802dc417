// The map of the Features page: points on a 2D canvas, one selection shared by both panes.
// Python sends a scene (core/plots/point_scene.py); the component answers with the places of the selected rows (`picked`)
// and, for the way between two models, how far along it stands (`share`).

const maps = new WeakMap();
const GAP = 12, TITLE = 22, HIT = 9, TALLEST = 520;

export default function ({ data, parentElement, setStateValue }) {
  let map = maps.get(parentElement);
  if (!map) {
    map = new PointMap(parentElement.querySelector(".map"));
    maps.set(parentElement, map);
  }
  map.send = setStateValue;
  map.update(data);
  return () => { map.close(); maps.delete(parentElement); };
}

function unpack(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Kind(bytes.buffer);
}

class PointMap {
  constructor(root) {
    this.root = root;
    this.points = root.querySelector("canvas.points");
    this.over = root.querySelector("canvas.over");
    this.tip = root.querySelector(".tip");
    this.slider = root.querySelector("input");
    this.selected = [];
    this.zoom = 1;
    this.centre = null;
    this.path = [];
    this.hiddenNames = new Set();
    // A finger scrolls the page until a tool is chosen.
    this.tool = matchMedia("(pointer: coarse)").matches ? "look" : "lasso";
    this.listen();
    this.watch = new ResizeObserver(() => { if (this.root.clientWidth !== this.drawnWidth) this.draw(); });
    this.watch.observe(root);
    this.joined = () => this.scene && this.drawOver();
    addEventListener("thaw-near", this.joined);
  }

  close() { removeEventListener("thaw-near", this.joined); this.watch.disconnect(); cancelAnimationFrame(this.frame); }

  listen() {
    const on = (kind, react) => this.over.addEventListener(kind, react);
    on("pointerdown", (e) => this.press(e));
    on("pointermove", (e) => this.move(e));
    on("pointerup", (e) => this.release(e));
    on("pointercancel", () => this.drop());
    on("pointerleave", () => this.hover(-1));
    on("dblclick", () => this.choose([]));
    this.over.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    for (const button of this.root.querySelectorAll("[data-tool]")) {
      button.addEventListener("click", () => { this.tool = button.dataset.tool; this.showTool(); });
    }
    this.root.querySelector("[data-reset]").addEventListener("click", () => { this.zoom = 1; this.centre = null; this.draw(); });
    this.slider.addEventListener("input", () => { this.share = +this.slider.value; this.draw(); });
    this.slider.addEventListener("change", () => this.send("share", this.share));
    this.root.querySelector("[data-play]").addEventListener("click", () => this.play());
  }

  showTool() {
    for (const button of this.root.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === this.tool));
    }
    this.over.style.touchAction = this.tool === "look" ? "auto" : "none";
    this.over.style.cursor = { look: "default", pan: "grab" }[this.tool] || "crosshair";
  }

  update(data) {
    const scene = data.scene;
    if (scene.stamp !== this.stamp) {
      this.stamp = scene.stamp;
      this.scene = scene;
      this.sides = [unpack(scene.base, Float32Array), unpack(scene.tuned, Float32Array)];
      this.look = unpack(scene.look, Uint8Array);
      this.moved = scene.moved ? unpack(scene.moved, Float32Array) : null;
      if (scene.window.join() !== this.window) { this.window = scene.window.join(); this.zoom = 1; this.centre = null; }
      this.share = scene.share;
      this.slider.value = scene.share;
      this.stamps = new Map();
      this.writeAround();
    }
    if (data.restore.stamp !== this.restored) {
      this.restored = data.restore.stamp;
      this.selected = data.restore.rows.filter((row) => row < scene.rows);
    }
    this.showTool();
    this.draw();
  }

  writeAround() {
    const { scene, root } = this;
    this.over.setAttribute("aria-label", scene.alt);
    root.dataset.mode = scene.mode;
    root.querySelector(".way").hidden = scene.mode !== "way";
    root.querySelector(".from").textContent = scene.names[0];
    root.querySelector(".to").textContent = scene.names[1];
    const legend = root.querySelector(".legend");
    legend.replaceChildren(...scene.legend.map(([name, look]) => this.legendEntry(name, look)), ...this.arrowEntries());
    if (scene.scale) legend.append(this.scaleEntry(scene.scale));
  }

  entry(mark, words) {
    const entry = document.createElement("span");
    entry.className = "entry";
    const text = document.createElement("span");
    text.textContent = words;
    entry.append(mark, text);
    return entry;
  }

  legendEntry(name, look) {
    const mark = document.createElement("canvas"), scale = devicePixelRatio || 1;
    mark.width = mark.height = 12 * scale;
    mark.style.width = mark.style.height = "12px";
    const paint = mark.getContext("2d");
    paint.scale(scale, scale);
    paint.translate(6, 6);
    drawSymbol(paint, this.scene.looks[look][1], 4.5, this.scene.looks[look][0]);
    const shown = !this.hiddenNames.has(name), button = document.createElement("button");
    button.type = "button";
    button.className = "entry";
    button.title = shown ? `Hide ${name}` : `Show ${name}`;
    button.setAttribute("aria-pressed", String(shown));
    button.append(...this.entry(mark, name).childNodes);
    button.addEventListener("click", () => {
      if (!this.hiddenNames.delete(name)) this.hiddenNames.add(name);
      this.writeAround();
      this.draw();
      [...this.root.querySelectorAll(".legend button")].find((other) => other.textContent === name)?.focus();
    });
    return button;
  }

  // Rows of a look that the legend hides are neither drawn nor caught, in either pane.
  hidden(i) { return this.hiddenLooks.has(this.look[i]); }

  arrowEntries() {
    const seen = new Set();
    return this.scene.arrows.filter((group) => !seen.has(group.name) && seen.add(group.name)).map((group) => {
      const mark = document.createElement("span");
      mark.className = "stroke";
      mark.style.background = group.colour;
      mark.style.height = `${Math.max(2, group.width)}px`;
      return this.entry(mark, group.name);
    });
  }

  scaleEntry(scale) {
    const bar = document.createElement("span");
    bar.className = "ramp";
    bar.style.background = `linear-gradient(90deg, ${this.scene.looks.slice(0, -1).map(([colour]) => colour).join(",")})`;
    const entry = this.entry(bar, scale.high);
    const low = document.createElement("span");
    low.textContent = `${scale.title}  ${scale.low}`;
    entry.prepend(low);
    return entry;
  }

  // -- geometry ---------------------------------------------------------------------------------------------------------------------

  // Panes in CSS pixels, and which positions each shows: 0 base, 1 tuned, null the way between.
  panes() {
    const width = this.root.clientWidth;
    if (this.scene.mode !== "panes") {
      return [{ x: 0, y: 0, w: width, h: Math.min(TALLEST, width), side: this.scene.mode === "way" ? null : 1 }];
    }
    const stacked = width < 480, w = stacked ? width : (width - GAP) / 2, h = Math.min(w, TALLEST);
    return [0, 1].map((side) => ({ x: stacked ? 0 : side * (w + GAP), y: TITLE + (stacked ? side * (h + TITLE + 6) : 0), w, h, side }));
  }

  place(pane) {
    const [cx, cy, half] = this.scene.window, centre = this.centre || [cx, cy];
    const scale = Math.min(pane.w, pane.h) / (2 * half) * this.zoom;
    const positions = this.positions(pane.side);
    return {
      scale,
      at: (i) => [pane.x + pane.w / 2 + (positions[2 * i] - centre[0]) * scale, pane.y + pane.h / 2 - (positions[2 * i + 1] - centre[1]) * scale],
      of: (x, y) => [pane.x + pane.w / 2 + (x - centre[0]) * scale, pane.y + pane.h / 2 - (y - centre[1]) * scale],
    };
  }

  positions(side) {
    if (side !== null) return this.sides[side];
    const [base, tuned] = this.sides, share = this.share;
    return base.map((value, i) => (1 - share) * value + share * tuned[i]);
  }

  paneAt(x, y) {
    return this.shown.find((p) => x >= p.x && x <= p.x + p.w && y >= p.y && y <= p.y + p.h);
  }

  // -- drawing ----------------------------------------------------------------------------------------------------------------------

  draw() {
    if (!this.scene || !this.root.clientWidth) return;
    this.drawnWidth = this.root.clientWidth;
    this.shown = this.panes();
    const last = this.shown[this.shown.length - 1];
    for (const canvas of [this.points, this.over]) {
      const scale = devicePixelRatio || 1, width = this.root.clientWidth, height = last.y + last.h;
      if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
        canvas.width = Math.round(width * scale);
        canvas.height = Math.round(height * scale);
        canvas.style.width = `${width}px`;
        canvas.style.height = `${height}px`;
      }
      canvas.getContext("2d").setTransform(scale, 0, 0, scale, 0, 0);
    }
    const paint = this.points.getContext("2d"), style = getComputedStyle(this.root);
    paint.clearRect(0, 0, this.points.width, this.points.height);
    this.hiddenLooks = new Set(this.scene.legend.filter(([name]) => this.hiddenNames.has(name)).map(([, look]) => look));
    this.bright = new Uint8Array(this.scene.rows);
    for (const row of this.selected) this.bright[row] = 1;
    for (const pane of this.shown) this.drawPane(paint, pane, style);
    this.root.dataset.selected = this.selected.length;
    this.root.dataset.arrows = this.scene.arrows.reduce((sum, group) => sum + group.lines.length / 4, 0);
    this.root.dataset.rows = this.scene.rows;
    this.drawOver();
  }

  drawPane(paint, pane, style) {
    const { scene } = this;
    paint.save();
    paint.strokeStyle = style.getPropertyValue("--st-border-color") || "rgba(125,133,144,0.6)";
    paint.strokeRect(pane.x + 0.5, pane.y + 0.5, pane.w - 1, pane.h - 1);
    if (scene.mode === "panes") {
      paint.fillStyle = style.color;
      paint.font = `600 13px ${style.fontFamily}`;
      paint.fillText(`${"AB"[pane.side]}: ${scene.names[pane.side]}`, pane.x + 2, pane.y - 7, pane.w);
    }
    paint.beginPath();
    paint.rect(pane.x, pane.y, pane.w, pane.h);
    paint.clip();
    if (scene.mode === "arrows") this.drawPale(paint, pane);
    this.drawPoints(paint, pane);
    if (scene.mode === "arrows") this.drawArrows(paint, pane);
    paint.restore();
  }

  radius() { return (this.scene.rows <= 5000 ? 3 : 2) * Math.min(2.5, Math.sqrt(this.zoom)); }

  drawPale(paint, pane) {
    const { at } = this.place({ ...pane, side: 0 });
    paint.globalAlpha = 0.25;
    paint.fillStyle = "#7d8590";
    for (let i = 0; i < this.scene.rows; i++) {
      if (this.hidden(i)) continue;
      const [x, y] = at(i);
      paint.fillRect(x - 1.5, y - 1.5, 3, 3);
    }
  }

  drawPoints(paint, pane) {
    const { at } = this.place(pane), some = this.selected.length > 0, r = this.radius(), scale = devicePixelRatio || 1;
    for (const pass of some ? [0, 1] : [0]) {
      paint.globalAlpha = some && pass === 0 ? 0.12 : 0.85;
      for (let i = 0; i < this.scene.rows; i++) {
        if (this.hidden(i) || (some && this.bright[i] !== pass)) continue;
        const stamp = this.stampOf(this.look[i], r, scale), [x, y] = at(i), half = stamp.width / scale / 2;
        paint.drawImage(stamp, x - half, y - half, 2 * half, 2 * half);
      }
    }
  }

  // A marker drawn once and copied: thousands of points in a few milliseconds.
  stampOf(look, r, scale) {
    const key = `${look} ${r.toFixed(1)} ${scale}`;
    let stamp = this.stamps.get(key);
    if (!stamp) {
      stamp = document.createElement("canvas");
      stamp.width = stamp.height = Math.ceil(2 * (r + 2) * scale);
      const paint = stamp.getContext("2d");
      paint.scale(scale, scale);
      paint.translate(stamp.width / scale / 2, stamp.height / scale / 2);
      drawSymbol(paint, this.scene.looks[look][1], r, this.scene.looks[look][0]);
      this.stamps.set(key, stamp);
    }
    return stamp;
  }

  drawArrows(paint, pane) {
    const { of } = this.place(pane);
    const groups = [...this.scene.arrows];
    if (groups.length && this.selected.length) groups.push(this.selectedArrows());
    for (const group of groups) {
      paint.globalAlpha = group.opacity;
      paint.strokeStyle = paint.fillStyle = group.colour;
      paint.lineWidth = group.width;
      for (let i = 0; i < group.lines.length; i += 4) {
        if (group.rows?.length && this.hidden(group.rows[i / 4])) continue;
        arrow(paint, ...of(group.lines[i], group.lines[i + 1]), ...of(group.lines[i + 2], group.lines[i + 3]), group.width);
      }
    }
  }

  selectedArrows() {
    const far = this.selected.filter((i) => !this.hidden(i)).sort((a, b) => this.moved[b] - this.moved[a]).slice(0, this.scene.selectedArrows);
    const [base, tuned] = this.sides;
    return { colour: this.scene.ember, width: 2, opacity: 1, lines: far.flatMap((i) => [base[2 * i], base[2 * i + 1], tuned[2 * i], tuned[2 * i + 1]]) };
  }

  // The layer above: the lasso under way, and rings round the row under the pointer, in every pane.
  drawOver() {
    const paint = this.over.getContext("2d"), style = getComputedStyle(this.root);
    paint.clearRect(0, 0, this.over.width, this.over.height);
    paint.strokeStyle = paint.fillStyle = style.color;
    if (this.path.length > 1) {
      paint.beginPath();
      this.outline().forEach(([x, y], i) => (i ? paint.lineTo(x, y) : paint.moveTo(x, y)));
      paint.closePath();
      paint.globalAlpha = 0.1;
      paint.fill();
      paint.globalAlpha = 0.9;
      paint.setLineDash([4, 3]);
      paint.stroke();
      paint.setLineDash([]);
    }
    this.drawNear(paint);
    if (this.under >= 0) {
      paint.globalAlpha = 1;
      paint.lineWidth = 2;
      for (const pane of this.shown) {
        const [x, y] = this.place(pane).at(this.under);
        paint.beginPath();
        paint.arc(x, y, this.radius() + 4, 0, 2 * Math.PI);
        paint.stroke();
      }
      paint.lineWidth = 1;
    }
  }

  // From the one selected row to its nearest rows on each side, which Python knows from all dimensions.
  drawNear(paint) {
    const near = window.thawNear;
    this.root.dataset.near = 0;
    if (!near || this.selected.length !== 1 || near.row !== this.selected[0]) return;
    for (const pane of this.shown) {
      const { at } = this.place(pane), [x, y] = at(near.row);
      const rows = (pane.side === 0 ? near.a : near.b).filter((row) => row < this.scene.rows);
      this.root.dataset.near = rows.length;
      paint.globalAlpha = 0.8;
      paint.lineWidth = 1.2;
      for (const row of rows) {
        const [px, py] = at(row);
        paint.beginPath();
        paint.moveTo(x, y);
        paint.lineTo(px, py);
        paint.stroke();
        paint.beginPath();
        paint.arc(px, py, this.radius() + 2, 0, 2 * Math.PI);
        paint.stroke();
      }
      paint.lineWidth = 1;
    }
    paint.globalAlpha = 1;
  }

  // -- pointer ----------------------------------------------------------------------------------------------------------------------

  where(e) {
    const box = this.over.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  }

  press(e) {
    const [x, y] = this.where(e), pane = this.paneAt(x, y);
    this.start = [x, y];
    this.far = false;
    if (!pane || this.tool === "look" || e.button) return;
    this.over.setPointerCapture(e.pointerId);
    this.held = pane;
    this.path = [[x, y]];
    this.hover(-1);
  }

  move(e) {
    const [x, y] = this.where(e);
    if (this.start && Math.hypot(x - this.start[0], y - this.start[1]) > 4) this.far = true;
    if (!this.held) return this.hover(this.nearest(x, y), x, y);
    if (this.tool === "pan") {
      const [px, py] = this.path[this.path.length - 1], { scale } = this.place(this.held);
      const [cx, cy] = this.centre || this.scene.window;
      this.centre = [cx - (x - px) / scale, cy + (y - py) / scale];
      this.path = [[x, y]];
      return this.draw();
    }
    this.path.push([x, y]);
    this.drawOver();
  }

  release(e) {
    const pane = this.held, [x, y] = this.where(e), tapped = this.start && !this.far && Math.hypot(x - this.start[0], y - this.start[1]) < 4;
    const outline = this.outline(), catching = pane && this.tool !== "pan" && this.path.length > 2 && !tapped;
    this.drop();
    if (tapped) {
      const row = this.nearest(x, y);
      if (row >= 0) this.choose(e.shiftKey ? [...new Set([...this.selected, row])] : [row]);
      if (row >= 0) this.hover(row, x, y);
    } else if (catching) {
      const caught = this.inside(pane, outline);
      if (caught.length) this.choose(e.shiftKey ? [...new Set([...this.selected, ...caught])] : caught);
    }
  }

  drop() { this.held = null; this.path = []; this.drawOver(); }

  outline() {
    if (this.tool !== "box" || this.path.length < 2) return this.path;
    const [[x0, y0], [x1, y1]] = [this.path[0], this.path[this.path.length - 1]];
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
  }

  inside(pane, outline) {
    const { at } = this.place(pane), rows = [];
    const xs = outline.map((p) => p[0]), ys = outline.map((p) => p[1]);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    for (let i = 0; i < this.scene.rows; i++) {
      const [x, y] = at(i);
      if (this.hidden(i) || x < left || x > right || y < top || y > bottom) continue;
      let odd = false;
      for (let j = 0, k = outline.length - 1; j < outline.length; k = j++) {
        if ((ys[j] > y) !== (ys[k] > y) && x < (xs[k] - xs[j]) * (y - ys[j]) / (ys[k] - ys[j]) + xs[j]) odd = !odd;
      }
      if (odd) rows.push(i);
    }
    return rows;
  }

  nearest(x, y) {
    const pane = this.paneAt(x, y);
    if (!pane) return -1;
    const { at } = this.place(pane);
    let best = -1, least = HIT * HIT;
    for (let i = 0; i < this.scene.rows; i++) {
      if (this.hidden(i)) continue;
      const [px, py] = at(i), far = (px - x) ** 2 + (py - y) ** 2;
      if (far < least) { least = far; best = i; }
    }
    return best;
  }

  wheel(e) {
    if (this.tool !== "pan") return; // elsewhere the wheel scrolls the page
    e.preventDefault();
    const [x, y] = this.where(e), pane = this.paneAt(x, y);
    if (!pane) return;
    const factor = Math.exp(-e.deltaY / 400), { scale } = this.place(pane), [cx, cy] = this.centre || this.scene.window;
    const dx = (x - pane.x - pane.w / 2) / scale, dy = -(y - pane.y - pane.h / 2) / scale;
    this.zoom = Math.min(60, Math.max(0.8, this.zoom * factor));
    const kept = this.place(pane).scale / scale;
    this.centre = [cx + dx - dx / kept, cy + dy - dy / kept];
    this.draw();
  }

  choose(rows) {
    this.selected = rows;
    this.draw();
    this.send("picked", rows);
  }

  hover(row, x = 0, y = 0) {
    if (row !== this.under) { this.under = row; this.writeTip(row); this.drawOver(); }
    if (row < 0) return;
    const { tip, root } = this, top = this.over.offsetTop;
    tip.style.left = `${Math.max(0, Math.min(x + 14, root.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${top + (y + 18 + tip.offsetHeight > this.over.clientHeight ? y - tip.offsetHeight - 10 : y + 14)}px`;
  }

  writeTip(row) {
    this.tip.hidden = row < 0;
    if (row < 0) return;
    const lines = this.scene.hover[row].split("\n").map((text, i) => {
      const line = document.createElement(i ? "div" : "strong");
      line.textContent = text;
      return line;
    });
    const sheet = window.thawPictures?.[this.scene.pictures];
    if (sheet) {
      const picture = document.createElement("div"), side = 72;
      picture.className = "picture";
      picture.style.backgroundImage = `url(${sheet.url})`;
      picture.style.backgroundSize = `${sheet.columns * side}px auto`;
      picture.style.backgroundPosition = `-${(row % sheet.columns) * side}px -${Math.floor(row / sheet.columns) * side}px`;
      lines.unshift(picture);
    }
    this.tip.replaceChildren(...lines);
  }

  play() {
    cancelAnimationFrame(this.frame);
    const began = performance.now();
    const step = (now) => {
      this.share = Math.min(1, (now - began) / 1600);
      this.slider.value = this.share;
      this.draw();
      if (this.share < 1) this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }
}

function arrow(paint, x0, y0, x1, y1, width) {
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 1) return;
  const head = Math.min(5 + 2 * width, length), ux = (x1 - x0) / length, uy = (y1 - y0) / length;
  const bx = x1 - ux * head, by = y1 - uy * head;
  paint.beginPath();
  paint.moveTo(x0, y0);
  paint.lineTo(bx, by);
  paint.stroke();
  paint.beginPath();
  paint.moveTo(x1, y1);
  paint.lineTo(bx - uy * head * 0.45, by + ux * head * 0.45);
  paint.lineTo(bx + uy * head * 0.45, by - ux * head * 0.45);
  paint.closePath();
  paint.fill();
}

// The markers of core/plots/palette.py, about the origin.
function drawSymbol(paint, symbol, r, colour) {
  paint.fillStyle = paint.strokeStyle = colour;
  paint.beginPath();
  if (symbol === "circle-open") {
    paint.arc(0, 0, r, 0, 2 * Math.PI);
    paint.stroke();
    return;
  }
  const turn = (count, radii, from) => {
    for (let i = 0; i < count; i++) {
      const angle = from + i * 2 * Math.PI / count, length = radii[i % radii.length] * r;
      paint.lineTo(length * Math.cos(angle), length * Math.sin(angle));
    }
    paint.closePath();
  };
  if (symbol === "square") paint.rect(-0.9 * r, -0.9 * r, 1.8 * r, 1.8 * r);
  else if (symbol === "diamond") turn(4, [1.3], 0);
  else if (symbol === "triangle-up") turn(3, [1.3], -Math.PI / 2);
  else if (symbol === "triangle-down") turn(3, [1.3], Math.PI / 2);
  else if (symbol === "star") turn(10, [1.4, 0.6], -Math.PI / 2);
  else if (symbol === "hexagon") turn(6, [1.1], 0);
  else if (symbol === "cross" || symbol === "x") {
    if (symbol === "x") paint.rotate(Math.PI / 4);
    paint.rect(-1.2 * r, -0.4 * r, 2.4 * r, 0.8 * r);
    paint.rect(-0.4 * r, -1.2 * r, 0.8 * r, 2.4 * r);
  } else paint.arc(0, 0, r, 0, 2 * Math.PI);
  paint.fill();
}
