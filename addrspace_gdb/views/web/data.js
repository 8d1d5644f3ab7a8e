// Reads what is packed in the page (views/web/pack.py): JSON, and columns of numbers.

/** One moment: its JSON, and its columns by name. */
export async function load(number) {
  const json = document.getElementById(`moment${number}`);
  const packed = document.getElementById(`columns${number}`);
  if (json === null || packed === null) return null;
  const told = JSON.parse(json.textContent);
  const bytes = await inflate(fromBase64(packed.textContent));
  packed.remove(); // some megabytes of text
  json.remove();
  const columns = {};
  for (const [name, place] of Object.entries(told.columns)) columns[name] = column(bytes, place);
  return { told, columns };
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A column: planes of bytes, the lowest first, put together; differences added up. */
function column(bytes, { at, rows, width, delta }) {
  if (width === 0) return bytes.subarray(at, at + rows);
  const wide = delta || width > 4;
  const numbers = wide ? new Float64Array(rows) : new Uint32Array(rows);
  for (let plane = width - 1; plane >= 0; plane -= 1) {
    const from = at + plane * rows;
    for (let row = 0; row < rows; row += 1) numbers[row] = numbers[row] * 256 + bytes[from + row];
  }
  if (delta) for (let row = 1; row < rows; row += 1) numbers[row] += numbers[row - 1];
  return numbers;
}

/** The last position in an ascending column whose number is at most `value`; -1 if there is none. */
export function lastAtMost(numbers, value) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
