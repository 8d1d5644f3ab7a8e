// Tables that sort by a click on a heading and filter by a text.
import { el, fill } from "./dom.js";

const MOST_ROWS = 400; // rows at once
const FEW_ROWS = 7; // that need no filter

/**
 * A table. `columns`: {name, of: row => value, text: value => text, left, depth: row => levels}; a click on a row calls `chosen`.
 * Numbers sort the largest first.
 */
export function table(caption, columns, rows, chosen = null) {
  let by = null;
  let down = true;
  let wanted = "";
  let most = MOST_ROWS;
  const body = el("tbody");
  const more = el("p", { class: "quiet" });
  const heads = columns.map((column, at) => {
    const press = el("button", { type: "button", onclick: () => sort(at) }, column.name);
    return el("th", { scope: "col", class: column.left ? "left" : null }, press);
  });
  const filter = el("input", {
    type: "search",
    placeholder: "filter",
    "aria-label": `filter ${caption}`,
    oninput: () => {
      wanted = filter.value.toLowerCase();
      show();
    },
  });

  function sort(at) {
    down = by === at ? !down : !columns[at].left;
    by = at;
    heads.forEach((head, number) => {
      if (number === at) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    show();
  }

  function text(column, row) {
    const value = column.of(row);
    if (value === null || value === undefined) return "";
    return column.text ? column.text(value, row) : String(value);
  }

  function shown() {
    const found = wanted
      ? rows.filter((row) => columns.some((column) => text(column, row).toLowerCase().includes(wanted)))
      : rows.slice();
    if (by !== null) {
      const of = columns[by].of;
      found.sort((one, other) => compare(of(one), of(other)) * (down ? -1 : 1));
    }
    return found;
  }

  function show() {
    const found = shown();
    fill(body, found.slice(0, most).map(line));
    const rest = found.length - most;
    fill(
      more,
      rest > 0
        ? el(
            "button",
            { type: "button", onclick: () => ((most *= 4), show()) },
            `${rest.toLocaleString("en-US")} more rows`,
          )
        : document.createTextNode(
            found.length === rows.length ? "" : `${found.length} of ${rows.length} rows`,
          ),
    );
  }

  function line(row) {
    const cells = columns.map((column) =>
      el("td", { class: column.left ? "left" : null, style: indented(column, row) }, text(column, row)),
    );
    if (chosen === null) return el("tr", {}, cells);
    const go = () => chosen(row);
    return el(
      "tr",
      { tabindex: "0", class: "go", onclick: go, onkeydown: (e) => e.key === "Enter" && go() },
      cells,
    );
  }

  show();
  const head = el("thead", {}, el("tr", {}, heads));
  return el(
    "section",
    { class: "table" },
    rows.length > FEW_ROWS ? filter : null,
    el("div", { class: "scroll" }, el("table", {}, el("caption", {}, caption), head, body)),
    more,
  );
}

/** Rows of a tree stand the further in the deeper they are. */
function indented(column, row) {
  return column.depth ? { paddingLeft: `${6 + 14 * column.depth(row)}px` } : {};
}

function compare(one, other) {
  if (one === null || one === undefined) return other === null || other === undefined ? 0 : -1;
  if (other === null || other === undefined) return 1;
  if (typeof one === "string") return one.localeCompare(other);
  return one < other ? -1 : one > other ? 1 : 0;
}
