// The selected samples: summary, table and CSV file.
const MOST_ROWS = 200, MOST_COLUMNS = 40; // of the table on the page; the CSV file has all

function drawSelection() {
  const selected = chosen.length > 0;
  byId("count").textContent = selected
    ? `${counted(chosen.length, "sample")} of ${samples.toLocaleString("en")}`
    : state.tool
      ? "Select samples by drawing around points, clicking a point, or searching by name. Hold shift to add more."
      : "Tap a point, search by name, or choose Lasso or Box and draw around points to select samples.";
  byId("clear").disabled = byId("download").disabled = !selected;
  byId("table").hidden = !selected;
  byId("summary").replaceChildren(...(selected ? summary() : []));
  byId("table").replaceChildren(...(selected ? [table()] : []));
  const parts = [];
  if (chosen.length > MOST_ROWS) parts.push(`the first ${MOST_ROWS} of ${counted(chosen.length, "sample")}`);
  const columns = content.columns.length;
  if (selected && columns > MOST_COLUMNS) parts.push(`the first ${MOST_COLUMNS} of ${columns} columns`);
  byId("more").textContent = parts.length ? `The table shows ${parts.join(" and ")}. The CSV file has all.` : "";
}

// Counts of the categories among the selected samples; for numbers their median, and that of all visible samples.
function summary() {
  const { codes, entries, low } = colouring();
  if (low !== undefined) {
    const shown = [...visible.keys()].filter((row) => visible[row]);
    const text = `median ${state.column.title}: ${median(chosen)} (all visible samples: ${median(shown)})`;
    return [element("span", text, { className: "chip" })];
  }
  const counts = new Map();
  for (const row of chosen) counts.set(codes[row], (counts.get(codes[row]) || 0) + 1);
  return entries.filter(({ code }) => counts.has(code)).map(({ label, colour, code, count }) => {
    const chip = element("span", undefined, { className: "chip", title: `of ${counted(count, "sample")}` });
    const swatch = element("span", undefined, { className: "swatch" });
    swatch.style.background = themed(colour);
    const share = `${counts.get(code).toLocaleString("en")} of ${count.toLocaleString("en")}`;
    chip.append(swatch, element("span", clipped(label)), element("span", share, { className: "number" }));
    return chip;
  });
}

function median(rows) {
  const values = unpack(state.column.values);
  const known = Float64Array.from(rows, (row) => values[row]).filter((value) => !Number.isNaN(value)).sort();
  if (!known.length) return "missing";
  return readable((known[(known.length - 1) >> 1] + known[known.length >> 1]) / 2);
}

function table() {
  const columns = content.columns.slice(0, MOST_COLUMNS);
  const whole = element("table"), head = element("tr"), body = element("tbody");
  head.append(element("th", "sample", { scope: "col" }));
  for (const { label, levels } of columns) {
    head.append(element("th", label, { scope: "col", className: levels ? "" : "figure", title: label }));
  }
  for (const row of chosen.slice(0, MOST_ROWS)) {
    const line = element("tr");
    line.append(element("th", content.names[row], { scope: "row", title: content.names[row] }));
    for (const column of columns) {
      const text = readable(valueOf(column, row));
      line.append(element("td", text, { className: column.levels ? "" : "figure", title: text }));
    }
    line.addEventListener("pointerenter", () => point(row));
    body.append(line);
  }
  body.addEventListener("pointerleave", () => point(null));
  const top = element("thead");
  top.append(head);
  whole.append(top, body);
  return whole;
}

function clearSelection() {
  byId("search").value = "";
  pick([]);
}

function quoted(text) {
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv() {
  const lines = [[content.index, ...content.columns.map(({ name }) => name)]];
  for (const row of chosen) lines.push([content.names[row], ...content.columns.map((column) => exact(column, row))]);
  return lines.map((line) => `${line.map(quoted).join(",")}\r\n`).join("");
}

function download() {
  const name = content.title.replace(/[^\p{L}\p{N}]+/gu, "_").replace(/^_|_$/g, "") || "latent";
  const file = new Blob([csv()], { type: "text/csv" });
  const link = element("a", undefined, { href: URL.createObjectURL(file), download: `${name}_selection.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
