// The controls, and the initial drawing.
function options(select, labels, chosenNumber) {
  select.append(...labels.map((label, number) => element("option", label, { value: number })));
  select.value = chosenNumber;
}

options(byId("layer"), content.layers.map(({ label }) => label), state.layer);
options(byId("colour"), content.columns.map(({ label }) => label), content.columns.indexOf(state.column));
byId("layer").addEventListener("change", ({ target }) => {
  state.layer = Number(target.value);
  drawNotes();
  refresh();
});
byId("colour").addEventListener("change", ({ target }) => {
  state.column = content.columns[Number(target.value)];
  state.hiddenCodes = new Set();
  refresh();
});
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("reset").addEventListener("click", () => resetView(maps));
byId("clear").addEventListener("click", clearSelection);
byId("download").addEventListener("click", download);
document.addEventListener("scroll", () => point(null), { passive: true });

// Select the sample of exactly this name, or else all whose names contain the text.
let typing;
const lower = content.names.map((name) => name.toLowerCase());
byId("search").addEventListener("input", ({ target }) => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const query = target.value.trim().toLowerCase();
    const found = query ? [...lower.keys()].filter((row) => lower[row] === query) : [];
    pick(found.length || !query ? found : [...lower.keys()].filter((row) => lower[row].includes(query)));
    if (!query || chosen.length) return;
    byId("count").textContent = `No visible sample has “${clipped(target.value.trim())}” in its name.`;
  }, 200);
});

const tools = [...document.querySelectorAll("[data-tool]")];
for (const button of tools) {
  button.addEventListener("click", () => {
    state.tool = state.tool === button.dataset.tool ? "" : button.dataset.tool;
    markTools();
    for (const map of maps) if (map.drawing.data) Plotly.relayout(map.drawing, { dragmode: state.tool || false });
  });
}

function markTools() {
  for (const button of tools) button.setAttribute("aria-pressed", String(button.dataset.tool === state.tool));
}

const system = matchMedia("(prefers-color-scheme: dark)");
function applyTheme(isDark) {
  dark = isDark;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
let ownTheme = false;
system.addEventListener("change", ({ matches }) => { if (!ownTheme) { applyTheme(matches); refresh(); } });
byId("theme").addEventListener("click", () => { ownTheme = true; applyTheme(!dark); refresh(); });

function drawNotes() {
  const { notes } = content.layers[state.layer];
  byId("notes").querySelector("ul").replaceChildren(...notes.map((note) => element("li", note)));
}

applyTheme(system.matches);
markTools();
drawSplits();
drawNotes();
const facts = [counted(samples, "sample"), counted(content.layers.length, "layer")];
byId("facts").textContent = `Latent space · ${facts.join(" · ")}`;
refresh();
