// The plots: one panel for each of up to two projections of a layer, drawn by plotly.
const MOST_RINGED = 30; // up to so many selected samples have rings, which make few samples easier to see
const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: true, doubleClick: false };
const maps = [];
let panelNumber = 0, drawings = 0;

function makeMap() {
  const section = byId("map").content.cloneNode(true).firstElementChild;
  const map = {
    section, number: panelNumber++, view: 0, rows: [], projection: null,
    drawing: section.querySelector(".drawing"), ring: section.querySelector(".ring"),
    title: section.querySelector("h2"), select: section.querySelector("select"),
  };
  map.select.setAttribute("aria-label", `Projection of plot ${map.number + 1}`);
  map.select.addEventListener("change", () => { map.wanted = map.select.value; refresh(); });
  // The wheel scrolls the page unless Zoom or Pan is chosen.
  section.querySelector(".plot").addEventListener("wheel", (event) => {
    if (!["zoom", "pan"].includes(state.tool)) event.stopPropagation();
  }, { capture: true, passive: true });
  byId("maps").append(section);
  return map;
}

function drawMaps() {
  const { projections } = content.layers[state.layer];
  while (maps.length < Math.min(2, projections.length)) maps.push(makeMap());
  const shown = maps.slice(0, projections.length);
  const resized = maps.some((map) => map.section.hidden === shown.includes(map));
  for (const map of maps) map.section.hidden = !shown.includes(map);
  for (const map of shown) {
    map.projection = projections.find(({ name }) => name === map.wanted) || projections[map.number];
    map.title.textContent = map.projection.name;
    map.section.setAttribute("aria-label", `${map.projection.name} plot`);
    map.select.hidden = projections.length < 3;
    map.title.hidden = !map.select.hidden;
    map.select.replaceChildren(...projections.map(({ name }) => element("option", name)));
    map.select.value = map.projection.name;
    const first = !map.drawing.data;
    Plotly.react(map.drawing, tracesOf(map), layoutOf(map), CONFIG);
    if (first) listen(map);
    else if (resized) Plotly.Plots.resize(map.drawing);
  }
}

function tracesOf(map) {
  const { codes, palette, low } = colouring();
  const numeric = low !== undefined;
  const colours = palette.map((colour, code) => numeric && code !== MISSING_CODE ? viridis(code) : themed(colour));
  const selecting = chosen.length > 0;
  const faded = [];
  const groups = content.splits.map(() => []);
  for (const row of order) {
    if (!visible[row]) continue;
    (selecting && !picked[row] ? faded : groups[splitOf[row]]).push(row);
  }
  const size = Math.min(9, Math.max(3.5, 160 / Math.sqrt(samples)));
  const traces = [
    trace(map, faded, { color: css("--faded"), size, opacity: 0.5 }),
    ...groups.map((rows, split) => trace(map, rows, {
      color: rows.map((row) => colours[codes[row]]),
      size: content.splits[split].symbol === "circle" ? size : size * 1.15,
      symbol: content.splits[split].symbol,
      opacity: 0.85,
    })),
    trace(map, chosen.length <= MOST_RINGED ? chosen : [], {
      color: css("--text"), size: size + 7, symbol: "circle-open", opacity: 1, line: { width: 1.5 },
    }),
  ];
  map.rows = traces.map(({ rows }) => rows);
  return traces.map(({ drawn }) => drawn);
}

function trace(map, rows, marker) {
  const values = unpack(map.projection.values);
  const x = new Float32Array(rows.length), y = new Float32Array(rows.length);
  rows.forEach((row, i) => { x[i] = values[2 * row]; y[i] = values[2 * row + 1]; });
  const drawn = { type: "scattergl", mode: "markers", x, y, marker, hoverinfo: "none", visible: rows.length > 0 };
  return { rows, drawn };
}

function layoutOf(map) {
  const { labels, ticks, name } = map.projection;
  const line = css("--line"), [x, y] = rangesOf(map.projection);
  const axis = (label, range, shown) => ({
    title: { text: label, standoff: 8, font: { size: 13 } }, range: [...range],
    showticklabels: shown, ticks: shown ? "outside" : "", ticklen: 4, tickcolor: line, tickfont: { size: 11 },
    color: css("--muted"), gridcolor: css("--grid"), showgrid: shown, zeroline: false, showline: true, linecolor: line,
  });
  return {
    autosize: true, margin: { l: ticks[1] ? 58 : 34, r: 10, t: 6, b: 46 }, showlegend: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily },
    hovermode: "closest", hoverdistance: 12, dragmode: state.tool || false,
    selections: [], selectionrevision: drawings++,
    newselection: { line: { color: css("--accent"), width: 1.5, dash: "solid" } },
    uirevision: `${state.layer} ${name} ${map.view}`,
    xaxis: axis(labels[0], x, ticks[0]), yaxis: axis(labels[1], y, ticks[1]),
  };
}

// Ranges of all samples, hidden ones included, so that the axes do not change when categories are hidden.
function rangesOf(projection) {
  if (!projection.ranges) {
    const values = unpack(projection.values);
    projection.ranges = [0, 1].map((axis) => {
      let low = Infinity, high = -Infinity;
      for (let i = axis; i < values.length; i += 2) {
        if (values[i] < low) low = values[i];
        if (values[i] > high) high = values[i];
      }
      const margin = 0.04 * (high - low) || 1;
      return low <= high ? [low - margin, high + margin] : [0, 1];
    });
  }
  return projection.ranges;
}

let shift = false;
addEventListener("pointerup", (event) => { shift = event.shiftKey; }, true);

function listen(map) {
  const rowOf = ({ curveNumber, pointNumber }) => map.rows[curveNumber][pointNumber];
  const later = (work) => setTimeout(work); // after plotly has finished handling the event
  map.drawing.on("plotly_hover", ({ points, event }) => point(rowOf(points[0]), event));
  map.drawing.on("plotly_unhover", () => point(null));
  map.drawing.on("plotly_relayouting", () => point(null));
  map.drawing.on("plotly_selected", (found) => { // also fired, without a shape, when refresh() removes the selection shape
    if (found?.lassoPoints || found?.range) { const rows = found.points.map(rowOf); later(() => pick(rows, shift)); }
  });
  map.drawing.on("plotly_click", ({ points, event }) => {
    const row = rowOf(points[0]);
    later(() => { pick([row], shift); point(row, event); }); // shows the tip on touch screens, which have no hover
  });
  map.drawing.on("plotly_deselect", () => later(clearSelection)); // double click with lasso or box
  map.drawing.on("plotly_doubleclick", () => later(() => resetView([map]))); // double click with the other tools
}

function resetView(which) {
  for (const map of which) map.view++;
  refresh();
}

function css(variable) {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}
