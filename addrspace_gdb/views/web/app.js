// The page put together: one selection, shown in every view and kept in the address bar.
import { load } from "./data.js";
import { PAGE, Space, STATES } from "./where.js";
import { byId, el, fill } from "./dom.js";
import { count, exact, hex, plain, plural, share, size } from "./format.js";
import { theme } from "./colors.js";
import { table } from "./table.js";
import { icicle, stackTree } from "./icicle.js";
import { ladder } from "./ladder.js";
import { MODES, PageMap } from "./pagemap.js";
import { changes, timeline } from "./moments.js";

const state = { moment: 0, address: null, tab: null, map: "use", scale: "log", metric: "count", table: null };
const spaces = [];
let map;
let markLadder = () => {};
let markMoment = () => {};

const space = () => spaces[state.moment];
const say = (text) => (byId("said").textContent = plain(text));

async function start() {
  for (let number = 0; ; number += 1) {
    const found = await load(number);
    if (found === null) break;
    spaces.push(new Space(found.told, found.columns));
  }
  map = new PageMap(byId("mapbox"), byId("map"), byId("legend"), {
    hover: say,
    chosen: (address) => select(address),
    range: brushed,
  });
  read();
  listen();
  if (spaces.length > 1) markMoment = timeline(byId("moments"), spaces, state.moment, (number) => (moment(number), keep()));
  moment(state.moment);
  map.fit();
  if (state.address !== null) select(state.address, true);
  else card();
  document.documentElement.dataset.ready = "yes";
}

// The address bar.

function keep() {
  const parts = new URLSearchParams();
  if (state.address !== null) parts.set("a", hex(state.address));
  if (spaces.length > 1) parts.set("m", String(state.moment));
  for (const name of ["tab", "map", "scale", "metric", "table"]) if (state[name]) parts.set(name, state[name]);
  history.replaceState(null, "", `#${parts}`);
}

function read() {
  const parts = new URLSearchParams(location.hash.slice(1));
  state.address = parts.has("a") ? number(parts.get("a")) : null;
  state.moment = Math.min(spaces.length - 1, Math.max(0, Number(parts.get("m")) || 0));
  for (const name of ["tab", "map", "scale", "metric", "table"]) if (parts.has(name)) state[name] = parts.get(name);
}

/** An address of a text; null if it is none. */
function number(text) {
  return /^0x[0-9a-f]{1,16}$/i.test(text) ? Number(BigInt(text)) : null;
}

// Everything of one moment.

function moment(number) {
  state.moment = number;
  head();
  drawLadder();
  map.setSpace(space(), spaces[0]);
  const modes = map.modes;
  if (!modes.includes(state.map)) state.map = "use";
  fill(byId("mode"), modes.map((mode) => el("option", { value: mode, selected: mode === state.map }, MODES[mode])));
  map.setMode(state.map);
  tabs();
  markMoment(number);
  if (state.address !== null) select(state.address);
}

function head() {
  const { told } = space();
  const target = told.target;
  const program = (target.executable || "?").split("/").pop();
  const resident = told.areas.reduce((sum, one) => (one.resident === null ? sum : sum + one.resident), 0);
  const known = told.areas.some((one) => one.resident);
  const facts = [
    told.name,
    target.go_version || "Go version ?",
    target.arch,
    known ? `resident ${size(resident)}` : "resident ?",
    told.goroutines ? plural(told.goroutines.total, "goroutine") : null,
    told.gc_phase ? `GC phase ${told.gc_phase}` : null,
    told.taken,
  ];
  byId("program").textContent = plain(program);
  byId("program").title = plain(target.executable || "");
  fill(byId("facts"), facts.filter(Boolean).map((fact) => el("li", {}, fact)));
  const findings = told.rss ? told.rss.findings.slice(0, 3) : [];
  fill(byId("findings"), findings.map((one) => el("li", {}, one.sentence)));
  badge(told);
  const said = [...(told.problems || []).map((text) => el("p", { class: "problem" }, text)), ...(told.notes || []).map((text) => el("p", {}, text))];
  fill(byId("notes"), said);
}

/** Whether every sum holds, in a word. */
function badge(told) {
  const checks = told.checks || [];
  const wrong = checks.filter((one) => one.ok === false);
  const balances = told.rss ? told.rss.balances : [];
  const open = balances.filter((one) => one.unexplained);
  const text = wrong.length || open.length ? `${wrong.length + open.length} sums do not agree` : `unexplained: 0 B of ${checks.length + balances.length} sums`;
  fill(byId("badge"), checks.length + balances.length ? el("span", { class: wrong.length || open.length ? "bad" : "good" }, text) : null);
}

function drawLadder() {
  markLadder = ladder(byId("ladder"), space(), state.scale, (box) => range(box.start, box.end), say);
  markLadder(state.address);
}

// The selection.

function select(address, fromStart = false) {
  state.address = address;
  if (fromStart && map.pagesInCell > 1) {
    map.pagesInCell = 1;
    map.lay();
  }
  map.brush = null;
  map.select(address);
  markLadder(address);
  card();
  keep();
}

function clear() {
  map.brush = null;
  select(null);
}

/** Two columns of facts, and commands to copy. */
function facts(title, rows, commands, ...more) {
  fill(
    byId("card"),
    el("h2", {}, title),
    el("dl", {}, rows.filter((row) => row[1] !== null && row[1] !== "").flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])),
    more,
    el("p", { class: "commands" }, commands.map(copied)),
  );
}

/** A button that copies a command of the debugger. */
function copied(command) {
  const press = el("button", { type: "button", class: "copy", title: "copy as command", "aria-label": `copy: ${command}` }, command);
  press.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      say(`copied: ${command}`);
    } catch {
      getSelection().selectAllChildren(press);
      say("select and copy it by hand: this page may not use the clipboard");
    }
  });
  return press;
}

function card() {
  if (state.address === null) {
    fill(byId("card"), el("p", { class: "quiet" }, "Nothing is selected. Click into the map or the ladder, or search."));
    return;
  }
  const found = space().whereis(state.address);
  const { region, span, slot, stack } = found;
  const at = hex(found.address);
  const rows = [["what", found.what], ["area", found.area || "not mapped"]];
  if (region) {
    const resident = region.resident === null ? "" : `, resident ${size(region.resident)}`;
    rows.push(["region", `${hex(region.start)}-${hex(region.end)} ${region.permissions}, ${size(region.size)}${resident}`]);
    if (region.file) rows.push(["file", region.file]);
  }
  if (span) {
    const name = span.size_class ? `size class ${span.size_class}, ${count(span.element)} bytes` : "";
    rows.push(["span", [`${hex(span.start)}-${hex(span.end)}`, span.holds, name, span.sweep].filter(Boolean).join(", ")]);
    if (span.slots) rows.push(["slots", `${count(span.used)} of ${count(span.slots)} taken`]);
    const there = space().resident(span.start, span.end);
    if (there !== null) rows.push(["in memory", `${size(there)} of ${size(span.size)}`]);
  }
  if (slot && slot.number !== null) rows.push(["object", `slot ${count(slot.number)} at ${hex(slot.base)}${slot.offset ? `, + ${count(slot.offset)}` : ""}`]);
  const goid = stack && stack.kind === "goroutine" ? stack.owner : null;
  if (stack) rows.push(["stack", `${hex(stack.start)}-${hex(stack.end)}, ${size(stack.end - stack.start)}`]);
  const commands = [`addrspace whereis ${at}`, `addrspace regions ${at}`];
  if (span && !stack) commands.push(`addrspace spans ${at}`);
  if (goid !== null) commands.push(`goroutine-stacks ${goid} --frames`);
  facts(at, rows, commands, span && span.slots ? slots(span) : null, goid === null ? null : frames(goid));
}

/** The frames of a goroutine, the innermost first. */
function frames(goid) {
  const found = space().goroutine(goid);
  if (found === null) return null;
  return el("ol", { class: "frames" }, found.frames.map(([name, place]) => el("li", {}, el("b", {}, name), ` ${place}`)));
}

/** The slots of a span, a cell each; a click selects one. */
function slots(span) {
  const states = space().slotsOf(span.number);
  if (states === null) return el("p", { class: "quiet" }, space().told.heap.slots || "What its slots hold is not in this file.");
  const many = {};
  for (const one of states) many[one] = (many[one] || 0) + 1;
  const columns = Math.min(states.length, 32);
  const cell = 11;
  const canvas = el("canvas", { role: "img", "aria-label": `slots: ${JSON.stringify(many)}`, class: "slots" });
  const rows = Math.ceil(states.length / columns);
  canvas.width = columns * cell;
  canvas.height = rows * cell;
  const paint = canvas.getContext("2d");
  const uses = theme().uses;
  const color = { live: uses.objects, since: uses.stacks, dead: uses.other, free: uses.returned };
  states.forEach((one, at) => {
    paint.fillStyle = color[one];
    paint.fillRect((at % columns) * cell, Math.floor(at / columns) * cell, cell - 1, cell - 1);
  });
  const here = Math.floor((state.address - span.start) / span.element);
  paint.strokeStyle = theme().ink;
  paint.lineWidth = 2;
  paint.strokeRect((here % columns) * cell, Math.floor(here / columns) * cell, cell - 1, cell - 1);
  canvas.addEventListener("click", (event) => {
    const slot = Math.floor(event.offsetY / cell) * columns + Math.floor(event.offsetX / cell);
    if (slot < states.length) select(span.start + slot * span.element);
  });
  const words = { live: "live at the last GC", since: "allocated since", dead: "dead, not swept yet", free: "free" };
  const legend = STATES.filter((one) => many[one]).map((one) =>
    el("li", {}, el("span", { class: "swatch", style: { background: color[one] } }), `${count(many[one])} ${words[one]}`));
  return el("div", {}, canvas, el("ul", { class: "legend" }, legend));
}

/** What is between two addresses. */
function range(low, high) {
  const regions = [];
  for (let at = 0; at < space().regionCount; at += 1) {
    const region = space().region(at);
    if (region.start < high && region.end > low) regions.push(region);
  }
  const rows = table(
    `regions in ${hex(low)}-${hex(high)}`,
    [
      { name: "Start", left: true, of: (row) => row.start, text: hex },
      { name: "Size", of: (row) => row.size, text: size },
      { name: "Resident", of: (row) => row.resident, text: size },
      { name: "Perm", left: true, of: (row) => row.permissions },
      { name: "What", left: true, of: (row) => [row.kind, row.label, row.file].filter(Boolean).join(" ") || row.area },
    ],
    regions,
    (row) => select(row.start),
  );
  facts(`${hex(low)}-${hex(high)}`, [["addresses", size(high - low)]], [`addrspace regions ${hex(low)}`], rows);
  if (regions.some((one) => one.area === "heap")) {
    const first = regions.find((one) => one.area === "heap");
    map.show(first.start);
  }
}

/** Totals of a range that was brushed on the map. */
function brushed(low, high) {
  const found = space().totals(low, high);
  const rows = Object.entries(found.uses).map(([use, bytes]) => [use, exact(bytes)]);
  rows.push(["in memory", exact(found.resident)], ["spans", count(found.spans)], ["objects", count(found.objects)]);
  facts(`${hex(low)}-${hex(high)}`, [["range", exact(high - low)], ...rows], [`addrspace spans --range ${hex(low)},${hex(high)}`]);
}

// The tabs at the right.

const TABS = { rss: "Resident", goroutines: "Goroutines", retained: "Retained", tables: "Tables", changes: "Changes" };

function tabs() {
  const { told } = space();
  const there = {
    rss: told.rss,
    goroutines: space().stacks,
    retained: told.retained,
    tables: true,
    changes: spaces.length > 1,
  };
  const names = Object.keys(TABS).filter((name) => there[name]);
  if (!names.includes(state.tab)) state.tab = spaces.length > 1 ? "changes" : names[0];
  const press = (name) =>
    el("button", {
      type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel", tabindex: name === state.tab ? "0" : "-1",
      "aria-selected": String(name === state.tab), onclick: () => (open(name), byId(`tab-${name}`).focus()),
    }, TABS[name]);
  fill(byId("tabs"), names.map(press));
  byId("panel").setAttribute("aria-labelledby", `tab-${state.tab}`);
  panel();
}

function open(name) {
  state.tab = name;
  tabs();
  keep();
}

function panel() {
  const made = { rss: resident, goroutines, retained, tables, changes: () => changes(spaces[0], space()) }[state.tab]();
  fill(byId("panel"), made);
}

/** A tree's node as an icicle has it. */
function node(told, figure) {
  return { name: told.name, note: told.note, told, value: figure(told), children: told.children.map((child) => node(child, figure)) };
}

function resident() {
  const { tree, balances } = space().told.rss;
  const known = tree.resident !== null;
  const figure = (one) => (known ? one.resident : one.kept);
  const root = node(tree, figure);
  const tell = (one) => say(`${one.name}: ${exact(one.value)} ${known ? "resident" : "kept"}, ${share(one.value, root.value)}${one.note ? `; ${one.note}` : ""}`);
  const rows = [];
  const walk = (one, depth) => (rows.push({ ...one, depth }), one.children.forEach((child) => walk(child, depth + 1)));
  walk(tree, 0);
  return [
    el("p", { class: "total" }, known ? "Resident bytes: " : "Kept bytes (a core does not record residency): ", el("b", {}, exact(root.value))),
    icicle(root, { text: size, say: tell, label: "resident bytes as a tree" }),
    table("the same as a table", [
      { name: "What", left: true, of: (row) => row.name, depth: (row) => row.depth },
      { name: known ? "Resident" : "Kept", of: figure, text: size },
      { name: "Bytes", of: figure, text: count },
      { name: "Size", of: (row) => row.size, text: size },
    ], rows),
    table("counters of the kernel and of Go", [
      { name: "Counter", left: true, of: (row) => row.counter },
      { name: "Value", of: (row) => row.value, text: count },
      { name: "Not explained", of: (row) => row.unexplained, text: count },
    ], balances),
  ];
}

const METRICS = { count: ["goroutines", count], size: ["stack bytes", size], used: ["used bytes", size], resident: ["resident bytes", size] };

function goroutines() {
  const { stacks } = space().stacks;
  const metrics = Object.keys(METRICS).filter((name) => stacks.some((one) => one[name]));
  if (!metrics.includes(state.metric)) state.metric = metrics[0] || "count";
  const [words, text] = METRICS[state.metric];
  const root = stackTree(space().stacks, state.metric);
  const choice = el("select", { "aria-label": "width of the frames", onchange: () => ((state.metric = choice.value), panel(), keep()) },
    metrics.map((name) => el("option", { value: name, selected: name === state.metric }, `width: ${METRICS[name][0]}`)));
  const tell = (one) => {
    const states = Object.entries(one.states || {}).map(([name, many]) => `${count(many)} ${name}`).slice(0, 3).join(", ");
    say(`${one.name} ${one.note || ""}: ${text(one.value)} ${words}, ${share(one.value, root.value)}${states ? `; ${states}` : ""}`);
  };
  return [
    choice,
    el("p", { class: "total" }, `All ${words}: `, el("b", {}, state.metric === "count" ? count(root.value) : exact(root.value))),
    icicle(root, { text, say: tell, label: "goroutines by stack" }),
    space().stacks.left_out ? el("p", { class: "quiet" }, space().stacks.left_out) : null,
    stackTable(stacks),
  ];
}

function stackTable(stacks) {
  return table("stacks", [
    { name: "Function", left: true, of: (row) => row.function || "?" },
    { name: "Goroutines", of: (row) => row.count, text: count },
    { name: "Stack", of: (row) => row.size, text: size },
    { name: "Used", of: (row) => row.used, text: size },
    { name: "Resident", of: (row) => row.resident, text: size },
    { name: "State", left: true, of: (row) => Object.keys(row.states).join(", ") },
  ], stacks, (row) => {
    const lines = row.frames.map((at) => space().stacks.texts[at].split("\t")).reverse();
    facts(row.function || "a stack", [["goroutines", count(row.count)], ["stack", exact(row.size)], ["used", exact(row.used)], ["resident", exact(row.resident)]],
      ["goroutine-stacks --group stack"], el("ol", { class: "frames" }, lines.map(([name, place]) => el("li", {}, el("b", {}, name), ` ${place}`))));
  });
}

function retained() {
  const told = space().told.retained;
  const name = (row) => row.root || row.type || (row.address ? `object ${row.address}` : "objects");
  const tree = (row) => ({ name: row.type && row.root ? `${row.root} (${row.type})` : name(row), value: row.bytes, told: row, note: row.address, children: row.children.map(tree) });
  const root = { name: "all that is reached", value: told.totals.reached.bytes, children: told.retained.map(tree) };
  const tell = (one) => say(`${one.name}: keeps ${exact(one.value)}${one.told ? `, ${plural(one.told.objects, "object")}` : ""}${one.note ? ` at ${one.note}` : ""}`);
  return [
    el("p", { class: "total" }, "Kept alive: ", el("b", {}, exact(root.value))),
    icicle(root, { text: size, say: tell, label: "what keeps what alive" }),
    table("roots", [
      { name: "Root", left: true, of: name },
      { name: "Kind", left: true, of: (row) => row.kind },
      { name: "Keeps", of: (row) => row.bytes, text: size },
      { name: "Bytes", of: (row) => row.bytes, text: count },
      { name: "Objects", of: (row) => row.objects, text: count },
      { name: "Type", left: true, of: (row) => row.type },
    ], told.retained, (row) => row.address && select(number(row.address))),
  ];
}

/** The tables there are, by name: what each is made by. */
function allTables() {
  const { told } = space();
  const made = {
    areas: () => table("areas", [
      { name: "Area", left: true, of: (row) => row.area },
      { name: "Size", of: (row) => row.size, text: size },
      { name: "Resident", of: (row) => row.resident, text: size },
      { name: "Bytes resident", of: (row) => row.resident, text: count },
    ], told.areas),
  };
  if (told.heap) {
    made["size classes"] = () => classTable(told.heap.classes);
    made["large objects"] = () => largeTable(told.heap.large);
  } else if (told.spans) {
    made["size classes"] = () => table("size classes", [
      { name: "Objects of", of: (row) => row.size || null, text: (bytes) => `${count(bytes)} B` },
      { name: "Pointers", left: true, of: (row) => (row.noscan ? "no" : "yes") },
      { name: "Spans", of: (row) => row.spans, text: count },
      { name: "Bytes", of: (row) => row.bytes, text: count },
      { name: "Objects", of: (row) => row.objects, text: count },
    ], told.spans);
  }
  if (told.types) made.types = () => typeTable(told.types.types);
  if (space().stacks) made.stacks = () => stackTable(space().stacks.stacks);
  if (told.sites && told.sites.length) made["allocation sites"] = () => table("where what is in use was allocated (sampled)", [
    { name: "Function", left: true, of: (row) => row.function },
    { name: "Place", left: true, of: (row) => `${row.file}:${row.line}` },
    { name: "About", of: (row) => row.bytes, text: size },
  ], told.sites);
  if (told.memstats) made["runtime.MemStats"] = () => table("runtime.MemStats", [
    { name: "Field", left: true, of: (row) => row[0] },
    { name: "Value", of: (row) => row[1], text: count },
  ], Object.entries(told.memstats).filter((one) => typeof one[1] === "number"));
  if (told.checks && told.checks.length) made.checks = () => table("sums that somebody else keeps too", [
    { name: "Sum", left: true, of: (row) => row.name },
    { name: "Ours", of: (row) => row.ours, text: count },
    { name: "Theirs", of: (row) => row.theirs, text: count },
    { name: "Source", left: true, of: (row) => row.source },
    { name: "Agree", left: true, of: (row) => ({ true: "yes", false: "no", null: "?" })[String(row.ok)] },
  ], told.checks);
  return made;
}

function tables() {
  const made = allTables();
  if (!(state.table in made)) state.table = Object.keys(made)[0];
  const choice = el("select", { "aria-label": "which table", onchange: () => ((state.table = choice.value), panel(), keep()) },
    Object.keys(made).map((name) => el("option", { value: name, selected: name === state.table }, name)));
  return [choice, made[state.table]()];
}

function classTable(classes) {
  const objects = (row) => row.objects.live + row.objects.since + row.objects.dead;
  return table("size classes", [
    { name: "Objects of", of: (row) => row.object_size, text: (bytes) => `${count(bytes)} B` },
    { name: "Pointers", left: true, of: (row) => (row.noscan ? "no" : "yes") },
    { name: "Spans", of: (row) => row.spans, text: count },
    { name: "Bytes", of: (row) => row.size, text: count },
    { name: "Objects", of: objects, text: count },
    { name: "Slots free", of: (row) => row.slots - objects(row), text: count },
    { name: "Resident", of: (row) => (row.resident === null ? null : Object.values(row.resident).reduce((sum, one) => sum + one, 0)), text: size },
  ], classes);
}

function largeTable({ count: many, rows }) {
  return table(rows.length < many ? `the ${count(rows.length)} largest of ${count(many)} large objects` : "large objects", [
    { name: "Address", left: true, of: (row) => row.address },
    { name: "Size", of: (row) => row.size, text: size },
    { name: "Bytes", of: (row) => row.size, text: count },
    { name: "Pointers", left: true, of: (row) => (row.noscan ? "no" : "yes") },
    { name: "State", left: true, of: (row) => row.state },
  ], rows, (row) => select(number(row.address)));
}

function typeTable(types) {
  return table("types", [
    { name: "Type", left: true, of: (row) => row.type || `not known, ${count(row.object_size)}-byte objects` },
    { name: "Bytes", of: (row) => row.bytes, text: count },
    { name: "Size", of: (row) => row.bytes, text: size },
    { name: "Objects", of: (row) => row.objects, text: count },
  ], types);
}

// Search.

function search(text) {
  const wanted = text.trim();
  if (!wanted) return;
  const address = number(wanted);
  if (address !== null) {
    select(address, true);
    return;
  }
  const goid = /^g?(?:oroutine )?(\d+)$/i.exec(wanted);
  const found = goid ? space().goroutine(Number(goid[1])) : null;
  if (found !== null) {
    select(found.lo, true);
    return;
  }
  const hits = [...stackHits(wanted), ...typeHits(wanted), ...areaHits(wanted)];
  say(hits.length ? `${plural(hits.length, "hit")} for ${wanted}` : `nothing is called ${wanted}`);
  fill(byId("card"), el("h2", {}, `“${wanted}”`), hits.length ? el("ul", { class: "hits" }, hits.slice(0, 60)) : el("p", {}, "Nothing found."));
}

const holds = (text, wanted) => (text || "").toLowerCase().includes(wanted.toLowerCase());

function hit(text, go) {
  return el("li", {}, el("button", { type: "button", onclick: go }, text));
}

function stackHits(wanted) {
  if (!space().stacks) return [];
  const { stacks, texts } = space().stacks;
  const goids = space().columns["g.stack"];
  return stacks
    .map((stack, at) => ({ stack, at }))
    .filter(({ stack }) => stack.frames.some((text) => holds(texts[text], wanted)))
    .map(({ stack, at }) => hit(`${plural(stack.count, "goroutine")} in ${stack.function || "?"}`, () => {
      const row = goids ? goids.indexOf(at) : -1;
      if (row >= 0) select(space().columns["g.lo"][row], true);
      open("goroutines");
    }));
}

function typeHits(wanted) {
  const { types } = space().told;
  if (!types) return [];
  return types.types.filter((row) => holds(row.type, wanted)).map((row) =>
    hit(`type ${row.type}: ${size(row.bytes)}, ${plural(row.objects, "object")}`, () => ((state.table = "types"), open("tables"))));
}

function areaHits(wanted) {
  const hits = [];
  for (let at = 0; at < space().regionCount && hits.length < 60; at += 1) {
    const region = space().region(at);
    if ([region.area, region.kind, region.label, region.file].some((text) => holds(text, wanted))) {
      hits.push(hit(`${hex(region.start)} ${[region.area, region.kind, region.label].filter(Boolean).join(" ")}, ${size(region.size)}`, () => select(region.start)));
    }
  }
  return hits;
}

// Keys and controls.

function listen() {
  byId("find").addEventListener("submit", (event) => {
    event.preventDefault();
    search(byId("search").value);
  });
  byId("mode").addEventListener("change", () => ((state.map = byId("mode").value), map.setMode(state.map), keep()));
  byId("scale").value = state.scale;
  byId("scale").addEventListener("change", () => ((state.scale = byId("scale").value), drawLadder(), keep()));
  byId("closer").addEventListener("click", () => map.zoom(true));
  byId("farther").addEventListener("click", () => map.zoom(false));
  byId("fit").addEventListener("click", () => map.fit());
  byId("theme").addEventListener("click", turn);
  addEventListener("hashchange", () => (read(), moment(state.moment)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => moment(state.moment));
  addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "Escape") clear();
    if (event.key === "/" && !typing) {
      event.preventDefault();
      byId("search").focus();
    }
  });
  byId("tabs").addEventListener("keydown", (event) => {
    const all = [...byId("tabs").children];
    const next = all[all.findIndex((one) => one.getAttribute("aria-selected") === "true") + ({ ArrowRight: 1, ArrowLeft: -1 }[event.key] || 0)];
    if (next && event.key.startsWith("Arrow")) next.click();
  });
}

/** From light to dark and back. */
function turn() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
  moment(state.moment);
}

// For tests, and for whoever looks at the page with a debugger of his own.
window.addrspace = { spaces, state, hit: (x, y) => map.hit(x, y), place: (address) => map.place(address), select: (address) => select(address, true), map: () => map, PAGE };

start().catch((error) => {
  say(`This page cannot be shown: ${error}`);
  throw error;
});
