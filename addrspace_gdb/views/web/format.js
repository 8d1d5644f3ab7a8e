// Numbers and addresses as text. Addresses are Numbers: all of a user's are below 2^53, and those of the
// kernel's pages are exact because their lowest 12 bits are 0.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

const COARSE = 4; // TiB: from here on whole units say enough

/** Bytes as a person reads them, as common/sizes.py says them: "1.2 MiB"; "?" where they are not known. */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "?";
  if (bytes < 0) return `-${size(-bytes)}`;
  if (bytes < 1024) return `${bytes} B`;
  let unit = 1;
  let tenths = Math.round((bytes * 10) / 1024);
  while (tenths >= 10240 && unit < UNITS.length - 1) {
    unit += 1;
    tenths = Math.round((bytes * 10) / 1024 ** unit);
  }
  const whole = unit >= COARSE && tenths >= 100;
  return `${whole ? Math.round(bytes / 1024 ** unit) : (tenths / 10).toFixed(1)} ${UNITS[unit]}`;
}

/** Bytes to the byte: "1,234,567 bytes". */
export function exact(bytes) {
  return bytes === null || bytes === undefined ? "?" : `${count(bytes)} bytes`;
}

/** A number with thousands: "1,234". */
export function count(number) {
  return number === null || number === undefined ? "?" : number.toLocaleString("en-US");
}

/** "1 object", "1,234 objects". */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** An address: "0xc000012340". */
export function hex(address) {
  return `0x${BigInt(address).toString(16)}`;
}

/** A part of a whole: "12.5%". */
export function share(part, whole) {
  return whole && part !== null ? `${((100 * part) / whole).toFixed(1)}%` : "";
}

/** More or less than before: "+1.2 MiB", "−3.0 KiB", "". */
export function change(bytes) {
  return bytes === 0 ? "" : `${bytes > 0 ? "+" : "−"}${size(Math.abs(bytes))}`;
}

/**
 * Text of the target with nothing in it that turns or hides other text: controls, marks of direction and of
 * no width are shown as \u{...}.
 */
export function plain(text) {
  return String(text).replace(
    /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu,
    (found) => `\\u{${found.codePointAt(0).toString(16)}}`,
  );
}
