// The tab with tables.
import { count, size } from "./format.js";
import { el } from "./dom.js";
import { act, number, space, state } from "./state.js";
import { table } from "./table.js";
import { stackTable } from "./trees.js";

/** The tables there are, by name: what each is made by. */
function allTables() {
  const { told } = space();
  const made = {
    areas: () =>
      table(
        "areas",
        [
          { name: "Area", left: true, of: (row) => row.area },
          { name: "Size", of: (row) => row.size, text: size },
          { name: "Resident", of: (row) => row.resident, text: size },
          { name: "Bytes resident", of: (row) => row.resident, text: count },
        ],
        told.areas,
      ),
  };
  if (told.heap) {
    made["size classes"] = () => classTable(told.heap.classes);
    made["large objects"] = () => largeTable(told.heap.large);
  } else if (told.spans) {
    made["size classes"] = () =>
      table(
        "size classes",
        [
          { name: "Objects of", of: (row) => row.size || null, text: (bytes) => `${count(bytes)} B` },
          { name: "Pointers", left: true, of: (row) => (row.noscan ? "no" : "yes") },
          { name: "Spans", of: (row) => row.spans, text: count },
          { name: "Bytes", of: (row) => row.bytes, text: count },
          { name: "Objects", of: (row) => row.objects, text: count },
        ],
        told.spans,
      );
  }
  if (told.types) made.types = () => typeTable(told.types.types);
  if (space().stacks) made.stacks = () => stackTable(space().stacks.stacks);
  if (told.sites && told.sites.length)
    made["allocation sites"] = () =>
      table(
        "where what is in use was allocated (sampled)",
        [
          { name: "Function", left: true, of: (row) => row.function },
          { name: "Place", left: true, of: (row) => `${row.file}:${row.line}` },
          { name: "About", of: (row) => row.bytes, text: size },
        ],
        told.sites,
      );
  if (told.memstats)
    made["runtime.MemStats"] = () =>
      table(
        "runtime.MemStats",
        [
          { name: "Field", left: true, of: (row) => row[0] },
          { name: "Value", of: (row) => row[1], text: count },
        ],
        Object.entries(told.memstats).filter((one) => typeof one[1] === "number"),
      );
  if (told.checks && told.checks.length)
    made.checks = () =>
      table(
        "sums that somebody else keeps too",
        [
          { name: "Sum", left: true, of: (row) => row.name },
          { name: "Ours", of: (row) => row.ours, text: count },
          { name: "Theirs", of: (row) => row.theirs, text: count },
          { name: "Source", left: true, of: (row) => row.source },
          {
            name: "Agree",
            left: true,
            of: (row) => ({ true: "yes", false: "no", null: "?" })[String(row.ok)],
          },
        ],
        told.checks,
      );
  return made;
}

export function tables() {
  const made = allTables();
  if (!(state.table in made)) state.table = Object.keys(made)[0];
  const choice = el(
    "select",
    { "aria-label": "which table", onchange: () => ((state.table = choice.value), act.panel(), act.keep()) },
    Object.keys(made).map((name) => el("option", { value: name, selected: name === state.table }, name)),
  );
  return [choice, made[state.table]()];
}

function classTable(classes) {
  const objects = (row) => row.objects.live + row.objects.since + row.objects.dead;
  return table(
    "size classes",
    [
      { name: "Objects of", of: (row) => row.object_size, text: (bytes) => `${count(bytes)} B` },
      { name: "Pointers", left: true, of: (row) => (row.noscan ? "no" : "yes") },
      { name: "Spans", of: (row) => row.spans, text: count },
      { name: "Bytes", of: (row) => row.size, text: count },
      { name: "Objects", of: objects, text: count },
      { name: "Slots free", of: (row) => row.slots - objects(row), text: count },
      {
        name: "Resident",
        of: (row) =>
          row.resident === null ? null : Object.values(row.resident).reduce((sum, one) => sum + one, 0),
        text: size,
      },
    ],
    classes,
    (row) => act.light(`class:${row.object_size || "large"},${row.noscan ? "noscan" : "scan"}`),
  );
}

function largeTable({ count: many, rows }) {
  return table(
    rows.length < many
      ? `the ${count(rows.length)} largest of ${count(many)} large objects`
      : "large objects",
    [
      { name: "Address", left: true, of: (row) => row.address },
      { name: "Size", of: (row) => row.size, text: size },
      { name: "Bytes", of: (row) => row.size, text: count },
      { name: "Pointers", left: true, of: (row) => (row.noscan ? "no" : "yes") },
      { name: "State", left: true, of: (row) => row.state },
    ],
    rows,
    (row) => act.select(number(row.address)),
  );
}

function typeTable(types) {
  return table(
    "types",
    [
      {
        name: "Type",
        left: true,
        of: (row) => row.type || `not known, ${count(row.object_size)}-byte objects`,
      },
      { name: "Bytes", of: (row) => row.bytes, text: count },
      { name: "Size", of: (row) => row.bytes, text: size },
      { name: "Objects", of: (row) => row.objects, text: count },
    ],
    types,
    (row) => space().columns["span.type"] && act.light(`type:${row.type || ""}`),
  );
}
