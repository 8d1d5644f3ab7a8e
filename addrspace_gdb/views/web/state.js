// What is selected and shown, and what the parts of the page do for each other.
import { byId } from "./dom.js";
import { plain } from "./format.js";

/** The selection and the choices; all but the moment are in the address bar as they are. */
export const state = {
  moment: 0,
  address: null,
  range: null, // two addresses
  tab: null,
  map: "use",
  scale: "log",
  wipe: null,
  lit: null,
  metric: "count",
  table: null,
};

export const spaces = [];

/** The moment that is shown. */
export const space = () => spaces[state.moment];

/** Say one line at the foot of the page. */
export const say = (text) => (byId("said").textContent = plain(text));

/**
 * What app.js does for the other parts: `select(address, closer)`, `open(tab)`, `light(lit)` shows pages alone, `colour(mode)` colours them, `panel()` draws the tab anew, `keep()` writes
 * the address bar, `show(address)` scrolls the map.
 */
export const act = {};

/** An address of a text; null if it is none. */
export function number(text) {
  return /^0x[0-9a-f]{1,16}$/i.test(text) ? Number(BigInt(text)) : null;
}
