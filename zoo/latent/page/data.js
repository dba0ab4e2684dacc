// The content embedded in the page. Arrays are base64 and are unpacked when first used.
const content = JSON.parse(document.getElementById("content").textContent);
const samples = content.names.length;
const TYPES = {
  float32: Float32Array, float64: Float64Array,
  int8: Int8Array, int16: Int16Array, int32: Int32Array,
  uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array,
};

function unpack(packed) {
  if (!packed.array) {
    const binary = atob(packed.data);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    packed.array = new TYPES[packed.type](bytes.buffer);
    packed.data = null;
  }
  return packed.array;
}

function columnNamed(name) {
  return content.columns.find((column) => column.name === name);
}

// The value of a sample: a number, a text, or null where it is missing.
function valueOf(column, row) {
  const value = unpack(column.values)[row];
  if (column.levels) return value < column.levels.length ? column.levels[value] : null;
  return Number.isNaN(value) ? null : value;
}

// Value for display, with four significant digits.
function readable(value) {
  if (value === null) return "";
  if (typeof value === "string" || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(4)));
}

// Value for the CSV file: all digits, and for single precision the fewest that identify the number.
function exact(column, row) {
  const value = valueOf(column, row);
  if (column.values.type === "float32" && value !== null) {
    for (let digits = 6; digits < 9; digits++) {
      const short = Number(value.toPrecision(digits));
      if (Math.fround(short) === value) return String(short);
    }
    return String(Number(value.toPrecision(9)));
  }
  return value === null ? "" : String(value);
}

function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

// An element with plain text, never markup, because names come from the data.
function element(tag, text, properties) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  return Object.assign(node, properties);
}

function byId(id) {
  return document.getElementById(id);
}
