// The page put together: one selection, shown in every view and kept in the address bar.
import { load } from "./data.js";
import { PAGE, Space } from "./where.js";
import { byId, el, fill, withCode } from "./dom.js";
import { hex, plain, plural, size } from "./format.js";
import { act, number, say, space, spaces, state } from "./state.js";
import { ladder } from "./ladder.js";
import { MODES } from "./modes.js";
import { PageMap } from "./pagemap.js";
import { changes, timeline, whatGrew } from "./moments.js";
import { card, range } from "./card.js";
import { litWords } from "./lit.js";
import { goroutines, resident, retained } from "./trees.js";
import { tables } from "./tables.js";
import { search } from "./search.js";

let map;
let markLadder = () => {};
let markMoment = () => {};

async function start() {
  for (let number = 0; ; number += 1) {
    const found = await load(number);
    if (found === null) break;
    spaces.push(new Space(found.told, found.columns));
  }
  map = new PageMap(byId("mapbox"), byId("map"), byId("legend"), {
    hover: say,
    chosen: (address) => select(address),
    range: choose,
    light,
  });
  read();
  listen();
  if (spaces.length > 1)
    markMoment = timeline(byId("moments"), spaces, state.moment, (number) => (moment(number), keep()));
  moment(state.moment);
  map.fit();
  again(true);
  document.documentElement.dataset.ready = "yes";
}

// The address bar.

const KEPT = ["tab", "map", "scale", "metric", "table", "wipe", "lit"]; // beside the selection and the moment

function keep() {
  const parts = new URLSearchParams();
  if (state.address !== null) parts.set("a", hex(state.address));
  if (state.range !== null) parts.set("r", state.range.map(hex).join("-"));
  if (spaces.length > 1) parts.set("m", String(state.moment));
  for (const name of KEPT) if (state[name]) parts.set(name, state[name]);
  history.replaceState(null, "", `#${parts}`);
}

function read() {
  const parts = new URLSearchParams(location.hash.slice(1));
  state.address = parts.has("a") ? number(parts.get("a")) : null;
  const ends = (parts.get("r") || "").split("-").map(number);
  state.range = ends.length === 2 && ends.every((one) => one !== null) && ends[0] < ends[1] ? ends : null;
  // At first the last one, which shows what has changed.
  const moment = parts.has("m") ? Number(parts.get("m")) || 0 : spaces.length - 1;
  state.moment = Math.min(spaces.length - 1, Math.max(0, moment));
  for (const name of KEPT) if (parts.has(name)) state[name] = parts.get(name);
}

// Everything of one moment.

function moment(number) {
  state.moment = number;
  document.body.classList.toggle("figures", Boolean(space().told.figures)); // without addresses
  head();
  drawLadder();
  map.setSpace(space(), spaces[0]);
  const modes = map.modes;
  if (!modes.includes(state.map)) state.map = "use";
  fill(
    byId("mode"),
    modes.map((mode) => el("option", { value: mode, selected: mode === state.map }, MODES[mode].words)),
  );
  map.lit = state.lit;
  map.setMode(state.map);
  drawWipe();
  tabs();
  markMoment(number);
  again(false);
}

/** Show what is selected, in this moment. */
function again(fromStart) {
  if (state.range !== null) choose(...state.range);
  else if (state.address !== null) select(state.address, fromStart);
  else card();
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
  fill(
    byId("facts"),
    facts.filter(Boolean).map((fact) => el("li", {}, fact)),
  );
  const findings = told.rss ? told.rss.findings.slice(0, 3).map((one) => one.sentence) : [];
  if (state.moment > 0 && !findings.length) findings.push(whatGrew(spaces[0], space()));
  fill(
    byId("findings"),
    findings.map((text) => el("li", {}, withCode(text))),
  );
  badge(told);
  const said = [
    ...(told.problems || []).map((text) => el("p", { class: "problem" }, text)),
    ...(told.notes || []).map((text) => el("p", {}, text)),
  ];
  fill(byId("notes"), said);
}

/** Whether every sum holds, in a word. */
function badge(told) {
  const checks = told.checks || [];
  const wrong = checks.filter((one) => one.ok === false);
  const balances = told.rss ? told.rss.balances : [];
  const open = balances.filter((one) => one.unexplained);
  const text =
    wrong.length || open.length
      ? `${wrong.length + open.length} sums do not agree`
      : `unexplained: 0 B of ${checks.length + balances.length} sums`;
  fill(
    byId("badge"),
    checks.length + balances.length
      ? el("span", { class: wrong.length || open.length ? "bad" : "good" }, text)
      : null,
  );
}

function drawLadder() {
  markLadder = ladder(byId("ladder"), space(), state.scale, (box) => choose(box.start, box.end), say);
  markLadder(state.address);
}

/** The slider between the first moment and the one that is shown. */
function drawWipe() {
  byId("wipe").hidden = state.moment === 0;
  const slider = byId("wipe").querySelector("input");
  slider.value = String(Math.min(64, Math.max(0, Number(state.wipe) || 0)));
  map.wipe(Number(slider.value));
}

// The selection.

function select(address, fromStart = false) {
  state.address = address;
  state.range = null;
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

/** Select all between two addresses. */
function choose(low, high) {
  state.address = null;
  state.range = [low, high];
  map.brush = [low, high - 1];
  map.select(null);
  map.show(low);
  markLadder(low);
  range(low, high);
  keep();
}

/** Colour the pages by one of the map's modes. */
function colour(mode) {
  state.map = byId("mode").value = mode;
  map.setMode(mode);
  keep();
}

/** Show the pages of something alone (lit.js); null: all. */
function light(lit) {
  state.lit = map.light(lit) ? lit : null;
  if (state.lit !== lit) {
    map.light(null);
    say(`${litWords(lit)}: no page of the map has mostly that`);
  }
  keep();
}

function clear() {
  light(null);
  map.brush = null;
  select(null);
}

// The tabs at the right.

const TABS = {
  rss: "Resident",
  goroutines: "Goroutines",
  retained: "Retained",
  tables: "Tables",
  changes: "Changes",
};

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
    el(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${name}`,
        "aria-controls": "panel",
        tabindex: name === state.tab ? "0" : "-1",
        "aria-selected": String(name === state.tab),
        onclick: () => (open(name), byId(`tab-${name}`).focus()),
      },
      TABS[name],
    );
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
  const made = { rss: resident, goroutines, retained, tables, changes: () => changes(spaces[0], space()) }[
    state.tab
  ]();
  fill(byId("panel"), made);
}

// Keys and controls.

function listen() {
  byId("find").addEventListener("submit", (event) => {
    event.preventDefault();
    search(byId("search").value);
  });
  byId("mode").addEventListener("change", () => colour(byId("mode").value));
  byId("scale").value = state.scale;
  byId("scale").addEventListener("change", () => ((state.scale = byId("scale").value), drawLadder(), keep()));
  const slider = byId("wipe").querySelector("input");
  slider.addEventListener("input", () => {
    state.wipe = slider.value;
    drawWipe();
    keep();
  });
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
    const next =
      all[
        all.findIndex((one) => one.getAttribute("aria-selected") === "true") +
          ({ ArrowRight: 1, ArrowLeft: -1 }[event.key] || 0)
      ];
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

Object.assign(act, { select, light, colour, open, panel, keep, show: (address) => map.show(address) });

// For tests, and for whoever looks at the page with a debugger of his own.
window.addrspace = {
  spaces,
  state,
  hit: (x, y) => map.hit(x, y),
  place: (address) => map.place(address),
  select: (address) => select(address, true),
  map: () => map,
  size,
  PAGE,
};

start().catch((error) => {
  say(`This page cannot be shown: ${error}`);
  throw error;
});
