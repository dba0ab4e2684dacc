// What is shown and what is selected; every change ends with refresh().
const MISSING_CODE = 255; // of a column of numbers, whose other codes are colours of viridis
const order = unpack(content.order); // shuffled, because in table order the last class would cover the others
const splitOf = unpack(content.split);
const state = {
  layer: content.layer,
  column: columnNamed(content.colour),
  tool: matchMedia("(pointer: coarse)").matches ? "" : "lasso", // touching a plot must be able to scroll the page
  hiddenCodes: new Set(),
  hiddenSplits: new Set(),
};
const picked = new Uint8Array(samples); // by lasso, box, click or search
const visible = new Uint8Array(samples); // neither split nor category is hidden
let chosen = []; // rows that are picked and visible, in the order of the table
let visibleCount = samples;
let dark = false;

// Palette, code of each sample in it, and legend entries: {palette, codes, entries, low, high}.
function colouring() {
  const column = state.column;
  if (!column.colouring) column.colouring = column.levels ? ofCategories(column) : ofNumbers(column);
  return column.colouring;
}

function ofCategories(column) {
  const codes = Uint8Array.from(unpack(column.values), (level) => column.entry[level]);
  const entries = column.legend.map(([label, colour], code) => ({ label, colour, code }));
  return { palette: entries.map((entry) => entry.colour), codes, entries };
}

function ofNumbers(column) {
  const values = unpack(column.values);
  let low = Infinity, high = -Infinity, missing = false;
  for (const value of values) {
    if (Number.isNaN(value)) missing = true;
    else { low = Math.min(low, value); high = Math.max(high, value); }
  }
  const steps = content.viridis.length - 1;
  const codes = Uint8Array.from(values, (value) =>
    Number.isNaN(value) ? MISSING_CODE : high > low ? Math.round((steps * (value - low)) / (high - low)) : 0);
  const palette = [...content.viridis, content.grey];
  const entries = missing ? [{ label: "missing", colour: content.grey, code: MISSING_CODE }] : [];
  return { palette, codes, low, high, entries };
}

// Black and the darkest violet are invisible on the dark background, so lighter colours replace them.
function themed(colour) {
  return dark && colour === "#000000" ? "#FFFFFF" : colour;
}

function viridis(step) {
  const last = content.viridis.length - 1, first = dark ? 0.2 * last : 0;
  return content.viridis[Math.round(first + (step * (last - first)) / last)];
}

function recount() {
  const { codes } = colouring();
  const counts = new Map();
  chosen = [];
  visibleCount = 0;
  for (let row = 0; row < samples; row++) {
    const inSplit = !state.hiddenSplits.has(splitOf[row]);
    if (inSplit) counts.set(codes[row], (counts.get(codes[row]) || 0) + 1);
    visible[row] = inSplit && !state.hiddenCodes.has(codes[row]) ? 1 : 0;
    visibleCount += visible[row];
    if (picked[row] && visible[row]) chosen.push(row);
  }
  for (const entry of colouring().entries) entry.count = counts.get(entry.code) || 0;
}

function pick(rows, add) {
  if (!add) picked.fill(0);
  for (const row of rows) picked[row] = 1;
  refresh();
}

function refresh() {
  point(null);
  recount();
  drawMaps();
  drawLegend();
  drawSelection();
}
