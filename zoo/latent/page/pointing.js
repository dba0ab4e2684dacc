// The sample under the pointer: a ring in every plot, and a tip with its values.
function point(row, event) {
  for (const map of maps) placeRing(map, row);
  const tip = byId("tip");
  tip.hidden = row === null || !event;
  if (tip.hidden) return;
  const list = element("dl");
  for (const column of tipColumns()) {
    const value = valueOf(column, row);
    list.append(element("dt", column.label), element("dd", value === null ? "missing" : clipped(readable(value))));
  }
  tip.replaceChildren(element("b", clipped(content.names[row])), list);
  const { clientX, clientY } = event.touches ? event.touches[0] || event.changedTouches[0] : event;
  const { width, height } = tip.getBoundingClientRect();
  const left = clientX + 16 + width > innerWidth ? Math.max(8, clientX - 16 - width) : clientX + 16;
  const top = Math.max(8, Math.min(clientY + 14, innerHeight - height - 8));
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}

function tipColumns() {
  const known = ["target", "prediction", "reconstruction_error", "split"].map(columnNamed).filter(Boolean);
  return known.includes(state.column) ? known : [...known, state.column];
}

function clipped(text) {
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function placeRing(map, row) {
  map.ring.hidden = true;
  if (row === null || !visible[row] || map.section.hidden) return;
  const { xaxis, yaxis } = map.drawing._fullLayout;
  const values = unpack(map.projection.values);
  const x = xaxis.l2p(values[2 * row]), y = yaxis.l2p(values[2 * row + 1]);
  if (!(x >= 0 && x <= xaxis._length && y >= 0 && y <= yaxis._length)) return; // not in view, or NaN
  map.ring.style.left = `${map.drawing.offsetLeft + xaxis._offset + x}px`;
  map.ring.style.top = `${map.drawing.offsetTop + yaxis._offset + y}px`;
  map.ring.hidden = false;
}
