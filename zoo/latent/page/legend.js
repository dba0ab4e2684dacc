// The legend beside the plots, and the list of splits below it; categories and splits can be hidden.
const MARKS = { circle: "●", "triangle-up": "▲", diamond: "◆", square: "■" };

function drawLegend() {
  const { entries, low, high } = colouring();
  const box = byId("legend").querySelector(".part");
  const focused = [...box.querySelectorAll("button")].indexOf(document.activeElement);
  box.querySelector("h2").textContent = state.column.title;
  const buttons = entries.map(entryOf);
  if (low !== undefined) buttons.unshift(scaleOf(low, high));
  box.querySelector(".entries").replaceChildren(...buttons);
  box.querySelector(".hint").textContent = entries.length > 1 ? "Click to hide, double-click to show only this one." : "";
  if (focused >= 0) box.querySelectorAll("button")[focused]?.focus();
}

function entryOf(entry) {
  const { label, colour, code, count } = entry;
  const button = element("button", undefined, { type: "button", title: label });
  const swatch = element("span", undefined, { className: "swatch" });
  swatch.style.background = themed(colour);
  button.append(swatch, element("span", label, { className: "name" }), numberOf(count));
  button.setAttribute("aria-pressed", String(!state.hiddenCodes.has(code)));
  // Each click redraws the legend, so no dblclick event occurs; the click count detects a double click.
  button.addEventListener("click", ({ detail }) => detail === 2 ? showAlone(code) : toggle(state.hiddenCodes, code));
  return button;
}

function numberOf(count) {
  return element("span", count.toLocaleString("en"), { className: "number" });
}

function toggle(hidden, item) {
  if (!hidden.delete(item)) hidden.add(item);
  refresh();
}

// Called by the second click of a double click; if only this category is shown already, show all.
function showAlone(code) {
  const others = colouring().entries.map((entry) => entry.code).filter((other) => other !== code);
  const alone = others.every((other) => state.hiddenCodes.has(other));
  state.hiddenCodes = new Set(alone ? [] : others);
  refresh();
}

function scaleOf(low, high) {
  const scale = element("div", undefined, { className: "scale" });
  const bar = element("div", undefined, { className: "bar" }), ends = element("div", undefined, { className: "ends" });
  bar.style.background = `linear-gradient(to right, ${content.viridis.map((_, step) => viridis(step)).join(", ")})`;
  if (low <= high) ends.append(...[low, (low + high) / 2, high].map((value) => element("span", readable(value))));
  scale.append(bar, ends);
  return scale;
}

function drawSplits() {
  const labels = content.splits.map(({ name, symbol, count }, number) => {
    const label = element("label"), box = element("input", undefined, { type: "checkbox", checked: true });
    box.addEventListener("change", () => toggle(state.hiddenSplits, number));
    const mark = element("span", MARKS[symbol], { className: "mark" });
    mark.setAttribute("aria-hidden", "true");
    label.append(box, element("span", name || "other", { className: "name" }), mark, numberOf(count));
    return label;
  });
  byId("splits").querySelector(".entries").append(...labels);
  byId("splits").hidden = labels.length < 2;
}
