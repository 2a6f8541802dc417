// The cells of the freeze grid. Python sends names and which are frozen; a change is answered with the whole plan.
// Click or Space switches one, with Shift all from the last one switched; dragging paints; arrow keys move.

const grids = new WeakMap();
const ICONS = { true: "ac_unit", false: "local_fire_department" };

export default function ({ data, parentElement, setStateValue }) {
  let grid = grids.get(parentElement);
  if (!grid) {
    grid = new Grid(parentElement.querySelector(".cells"));
    grids.set(parentElement, grid);
  }
  grid.send = setStateValue;
  grid.update(data);
  return () => { grid.close(); grids.delete(parentElement); };
}

class Grid {
  constructor(root) {
    this.root = root;
    this.serial = -1;
    this.last = 0;
    this.drag = null;
    root.addEventListener("click", (e) => this.click(e));
    root.addEventListener("keydown", (e) => this.key(e));
    root.addEventListener("focusin", (e) => this.enter(this.place(e)));
    root.addEventListener("pointerdown", (e) => this.press(e));
    root.addEventListener("pointerover", (e) => this.over(e));
    this.release = () => this.drop();
    addEventListener("pointerup", this.release);
  }

  close() { removeEventListener("pointerup", this.release); }

  update(data) {
    const names = data.cells.map((cell) => cell.name).join("\n");
    if (names !== this.names) {
      this.names = names;
      this.serial = -1;
      this.last = 0;
      this.cells = data.cells;
      this.build();
    }
    if (data.serial >= this.serial) {  // else an answer to an earlier click, which is still on its way
      this.serial = data.serial;
      this.frozen = data.cells.map((cell) => cell.frozen);
    }
    this.marked = new Set(data.marked);
    this.draw();
  }

  build() {
    this.root.classList.toggle("few", this.cells.length <= 16);
    this.root.replaceChildren(...this.cells.map((cell, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.place = i;
      button.tabIndex = i ? -1 : 0;
      button.disabled = cell.fixed;
      button.className = [cell.fixed && "fixed", cell.text.length > 12 ? "whole" : cell.text.length > 3 && "wide"]
        .filter(Boolean).join(" ");
      const icon = document.createElement("span");
      icon.className = "icon";
      icon.ariaHidden = "true";
      button.append(icon, cell.text);
      return button;
    }));
    this.buttons = [...this.root.children];
  }

  draw() {
    this.buttons.forEach((button, i) => {
      const cell = this.cells[i], tied = cell.follows === null ? -1 : cell.follows;
      const frozen = tied >= 0 ? this.frozen[tied] : this.frozen[i];
      button.firstChild.textContent = ICONS[frozen];
      button.setAttribute("aria-pressed", String(!frozen));
      button.setAttribute("aria-label", cell.label);
      button.title = `${cell.help}: ${frozen ? "frozen" : "trains"}`;
      button.classList.toggle("marked", this.marked.has(cell.name));
    });
  }

  place(event) {
    const button = event.target.closest?.("button");
    return button ? Number(button.dataset.place) : -1;
  }

  enter(place) {
    if (place >= 0) this.buttons.forEach((button, i) => { button.tabIndex = i === place ? 0 : -1; });
  }

  click(event) {
    const place = this.place(event);
    if (place < 0 || this.cells[place].fixed) return;
    if (this.painted) { this.painted = false; return; }
    if (event.shiftKey) this.paint(this.last, place, this.frozen[this.last]);
    else { this.frozen[place] = !this.frozen[place]; this.last = place; }
    this.answer();
  }

  paint(from, to, frozen) {
    for (let i = Math.min(from, to); i <= Math.max(from, to); i++) if (!this.cells[i].fixed) this.frozen[i] = frozen;
  }

  press(event) {
    this.painted = false;
    const place = this.place(event);
    if (place >= 0 && event.button === 0 && event.pointerType !== "touch" && !event.shiftKey && !this.cells[place].fixed) {
      this.drag = { from: place, before: [...this.frozen] };
    }
  }

  over(event) {
    const place = this.place(event);
    if (!this.drag || place < 0 || (place === this.drag.from && !this.painted)) return;
    this.painted = true;
    this.frozen = [...this.drag.before];
    this.paint(this.drag.from, place, !this.drag.before[this.drag.from]);
    this.draw();
  }

  drop() {
    if (this.drag && this.painted) {
      this.last = this.drag.from;
      this.answer();
      setTimeout(() => { this.painted = false; });  // after the click that ends a drag within one cell
    }
    this.drag = null;
  }

  answer() {
    this.serial += 1;
    this.draw();
    this.send("plan", { serial: this.serial, frozen: this.cells.filter((_, i) => this.frozen[i]).map((cell) => cell.name) });
  }

  key(event) {
    const from = this.place(event), to = this.target(event.key, from);
    if (from < 0 || to === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.enter(to);
    this.buttons[to].focus();
  }

  target(key, from) {
    const open = this.buttons.map((_, i) => i).filter((i) => !this.cells[i].fixed);
    if (key === "Home") return open[0];
    if (key === "End") return open.at(-1);
    if (key === "ArrowRight") return open.find((i) => i > from) ?? from;
    if (key === "ArrowLeft") return open.findLast((i) => i < from) ?? from;
    if (key !== "ArrowDown" && key !== "ArrowUp") return null;
    const box = (i) => this.buttons[i].getBoundingClientRect(), here = box(from);
    const rows = open.filter((i) => (key === "ArrowDown" ? box(i).top > here.top + 2 : box(i).top < here.top - 2));
    if (!rows.length) return from;
    const row = key === "ArrowDown" ? box(rows[0]).top : box(rows.at(-1)).top;
    const away = (i) => Math.abs(box(i).left - here.left);
    return rows.filter((i) => Math.abs(box(i).top - row) < 2).reduce((best, i) => (away(i) < away(best) ? i : best));
  }
}
