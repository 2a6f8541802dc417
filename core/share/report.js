// Draws the figures of a report from the data in the file, in the colours of the reader's theme, and lists the rows that a
// lasso (or a word) catches on a map.
(() => {
  "use strict";
  const dark = matchMedia("(prefers-color-scheme: dark)"), MOST_LISTED = 100, NARROW = 560;
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const colours = () => (dark.matches ? { ink: "#e6edf3", ground: "#182029" } : { ink: "#1b2733", ground: "#ffffff" });
  const config = (map) => ({ displaylogo: false, responsive: true, scrollZoom: false, modeBarButtons:
    [["toImage"], map ? ["lasso2d", "select2d", "pan2d"] : ["zoom2d", "pan2d"], ["resetScale2d"]] });

  function themed(layout) {
    const { ink, ground } = colours();
    layout.font = { ...layout.font, color: ink, family: "system-ui, sans-serif" };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: "#7d8590", activecolor: ink };
    layout.hoverlabel = { bgcolor: ground, font: { color: ink }, align: "left" };
    return layout;
  }

  // On a phone the two panes of a map stand one below the other.
  function stacked(layout, width) {
    layout.xaxis.domain = layout.xaxis2.domain = [0, 1];
    layout.yaxis.domain = [0.54, 1];
    layout.yaxis2.domain = [0, 0.46];
    (layout.annotations || []).slice(0, 2).forEach((title, pane) => { title.x = 0.5; title.y = pane ? 0.46 : 1; });
    layout.height = Math.round(2 * width) + 80;
  }

  function draw(place) {
    if (place.dataset.drawn) return;
    place.dataset.drawn = "1";
    const figure = read(place.dataset.figure), map = place.dataset.map ? read(place.dataset.map) : null;
    themed(figure.layout);
    if (map) {
      figure.layout.dragmode = matchMedia("(pointer: coarse)").matches ? false : "lasso";
      for (const trace of figure.data.slice(0, 2)) trace.text = map.hover;
      if (place.clientWidth < NARROW && figure.layout.xaxis2) stacked(figure.layout, place.clientWidth);
    }
    Plotly.newPlot(place, figure.data, figure.layout, config(map)).then(() => map && listen(place, map));
  }

  function listen(place, map) {
    const shared = read(map.rows), panel = place.closest("figure");
    const find = panel.querySelector("[data-find]");
    const choose = (places) => {
      Plotly.restyle(place, { selectedpoints: [places.length ? places : null] }, [0, 1]);
      list(panel, places, map, shared);
    };
    place.on("plotly_selected", (event) => {
      if (event) choose([...new Set(event.points.filter((p) => p.curveNumber < 2).map((p) => p.pointNumber))]);
    });
    place.on("plotly_deselect", () => choose([]));
    place.on("plotly_click", (event) => choose(event.points.slice(0, 1).map((p) => p.pointNumber)));
    find.addEventListener("input", () => {
      const word = find.value.trim().toLowerCase();
      choose(word ? map.keys.map((key, at) => [at, shared.rows[key].join(" ").toLowerCase()])
        .filter(([, text]) => text.includes(word)).map(([at]) => at) : []);
    });
    place.dataset.ready = "1";
  }

  function list(panel, places, map, shared) {
    const more = places.length > MOST_LISTED ? `, the first ${MOST_LISTED} listed` : "";
    panel.querySelector("[data-count]").textContent =
      `${places.length} of ${map.keys.length} rows selected${more}.`;
    panel.querySelector("[data-list]").replaceChildren(...places.slice(0, MOST_LISTED).map((at) => {
      const key = map.keys[at], [label, text] = shared.rows[key], item = document.createElement("li");
      if (shared.sheet && shared.rows[key][2] >= 0) item.append(picture(shared, shared.rows[key][2]));
      const head = document.createElement("strong");
      head.textContent = label;
      const said = [text, map.said[at], `row ${key}`].filter(Boolean).join(" · ");
      item.append(head, document.createTextNode(label ? ` ${said}` : said));
      return item;
    }));
  }

  function picture(shared, number) {
    const span = document.createElement("span"), { url, columns, side } = shared.sheet;
    span.className = "picture";
    span.style.backgroundImage = `url(${url})`;
    span.style.backgroundPosition = `-${(number % columns) * side}px -${Math.floor(number / columns) * side}px`;
    return span;
  }

  const places = [...document.querySelectorAll("[data-figure]")];
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target); }
  }, { rootMargin: "800px" });
  places.forEach((place) => seen.observe(place));
  addEventListener("beforeprint", () => places.forEach(draw));
  dark.addEventListener("change", () => places.filter((place) => place.dataset.drawn).forEach((place) => {
    const { ink, ground } = colours();
    Plotly.relayout(place, { "font.color": ink, "modebar.activecolor": ink, "hoverlabel.bgcolor": ground,
      "hoverlabel.font.color": ink });
  }));
})();
