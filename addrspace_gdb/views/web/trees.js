// The tabs with trees: what is resident, the goroutines, what keeps what alive.
import { count, exact, plural, share, size } from "./format.js";
import { el } from "./dom.js";
import { act, number, say, space, state } from "./state.js";
import { table } from "./table.js";
import { icicle, stackTree } from "./icicle.js";
import { facts } from "./card.js";
import { litByNode } from "./lit.js";

/** A tree's node as an icicle has it. */
function node(told, figure, above = null) {
  const lit = litByNode(told.name) || above;
  return {
    name: told.name,
    note: told.note,
    told,
    lit,
    value: figure(told),
    children: told.children.map((child) => node(child, figure, lit)),
  };
}

export function resident() {
  const { tree, balances } = space().told.rss;
  const known = tree.resident !== null;
  const figure = (one) => (known ? one.resident : one.kept);
  const root = node(tree, figure);
  const tell = (one) =>
    say(
      `${one.name}: ${exact(one.value)} ${known ? "resident" : "kept"}, ${share(one.value, root.value)}${one.note ? `; ${one.note}` : ""}`,
    );
  const rows = [];
  const walk = (one, depth) => (
    rows.push({ ...one, depth }),
    one.children.forEach((child) => walk(child, depth + 1))
  );
  walk(tree, 0);
  return [
    el(
      "p",
      { class: "total" },
      known ? "Resident bytes: " : "Kept bytes (a core does not record residency): ",
      el("b", {}, exact(root.value)),
    ),
    icicle(root, {
      text: size,
      say: tell,
      chosen: (one) => act.light(one.lit),
      label: "resident bytes as a tree",
    }),
    table(
      "the same as a table",
      [
        { name: "What", left: true, of: (row) => row.name, depth: (row) => row.depth },
        { name: known ? "Resident" : "Kept", of: figure, text: size },
        { name: "Bytes", of: figure, text: count },
        { name: "Size", of: (row) => row.size, text: size },
      ],
      rows,
    ),
    table(
      "counters of the kernel and of Go",
      [
        { name: "Counter", left: true, of: (row) => row.counter },
        { name: "Value", of: (row) => row.value, text: count },
        { name: "Not explained", of: (row) => row.unexplained, text: count },
      ],
      balances,
    ),
  ];
}

const METRICS = {
  count: ["goroutines", count],
  size: ["stack bytes", size],
  used: ["used bytes", size],
  resident: ["resident bytes", size],
};

export function goroutines() {
  const { stacks } = space().stacks;
  const metrics = Object.keys(METRICS).filter((name) => stacks.some((one) => one[name]));
  if (!metrics.includes(state.metric)) state.metric = metrics[0] || "count";
  const [words, text] = METRICS[state.metric];
  const root = stackTree(space().stacks, state.metric);
  const choice = el(
    "select",
    {
      "aria-label": "width of the frames",
      onchange: () => ((state.metric = choice.value), act.panel(), act.keep()),
    },
    metrics.map((name) =>
      el("option", { value: name, selected: name === state.metric }, `width: ${METRICS[name][0]}`),
    ),
  );
  const tell = (one) => {
    const states = Object.entries(one.states || {})
      .map(([name, many]) => `${count(many)} ${name}`)
      .slice(0, 3)
      .join(", ");
    say(
      `${one.name} ${one.note || ""}: ${text(one.value)} ${words}, ${share(one.value, root.value)}${states ? `; ${states}` : ""}`,
    );
  };
  return [
    choice,
    el(
      "p",
      { class: "total" },
      `All ${words}: `,
      el("b", {}, state.metric === "count" ? count(root.value) : exact(root.value)),
    ),
    icicle(root, { text, say: tell, label: "goroutines by stack" }),
    space().stacks.left_out ? el("p", { class: "quiet" }, space().stacks.left_out) : null,
    stackTable(stacks),
  ];
}

export function stackTable(stacks) {
  return table(
    "stacks",
    [
      { name: "Function", left: true, of: (row) => row.function || "?" },
      { name: "Goroutines", of: (row) => row.count, text: count },
      { name: "Stack", of: (row) => row.size, text: size },
      { name: "Used", of: (row) => row.used, text: size },
      { name: "Resident", of: (row) => row.resident, text: size },
      { name: "State", left: true, of: (row) => Object.keys(row.states).join(", ") },
    ],
    stacks,
    (row) => {
      act.light(`stack:${stacks.indexOf(row)}`);
      const lines = row.frames.map((at) => space().stacks.texts[at].split("\t")).reverse();
      facts(
        row.function || "a stack",
        [
          ["goroutines", count(row.count)],
          ["stack", exact(row.size)],
          ["used", exact(row.used)],
          ["resident", exact(row.resident)],
        ],
        ["goroutine-stacks --group stack"],
        el(
          "ol",
          { class: "frames" },
          lines.map(([name, place]) => el("li", {}, el("b", {}, name), ` ${place}`)),
        ),
      );
    },
  );
}

const SHARED = {
  globals: "several variables together",
  goroutines: "several groups of goroutines together",
};

/** A root or an object that keeps others alive, in words. */
function keeper(row) {
  if (row.kind === "shared") return SHARED[row.root] || "roots of several kinds together";
  if (row.kind === "group") return `${plural(row.goroutines, "goroutine")} of ${row.root}`;
  if (row.kind === "goroutine") return `goroutine ${row.goid} of ${row.root}`;
  return row.root || row.type || (row.address ? `object ${row.address}` : "objects of no type that is known");
}

export function retained() {
  const told = space().told.retained;
  const tree = (row) => ({
    name: row.type && row.root ? `${keeper(row)} (${row.type})` : keeper(row),
    value: row.bytes,
    told: row,
    note: row.address,
    children: row.children.map(tree),
  });
  const root = {
    name: "all that is reached",
    value: told.totals.reached.bytes,
    children: told.retained.map(tree),
  };
  const tell = (one) =>
    say(
      `${one.name}: keeps ${exact(one.value)}${one.told ? `, ${plural(one.told.objects, "object")}` : ""}${one.note ? ` at ${one.note}` : ""}`,
    );
  return [
    el("p", { class: "total" }, "Kept alive: ", el("b", {}, exact(root.value))),
    icicle(root, {
      text: size,
      say: tell,
      chosen: (one) => one.note && act.select(number(one.note), true),
      label: "what keeps what alive",
    }),
    table(
      "roots",
      [
        { name: "Root", left: true, of: keeper },
        { name: "Keeps", of: (row) => row.bytes, text: size },
        { name: "Bytes", of: (row) => row.bytes, text: count },
        { name: "Objects", of: (row) => row.objects, text: count },
        { name: "Kind", left: true, of: (row) => row.kind },
        { name: "Type", left: true, of: (row) => row.type },
      ],
      told.retained,
      (row) => row.address && act.select(number(row.address)),
    ),
  ];
}
