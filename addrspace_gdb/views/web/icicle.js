// Trees as icicles: the root on top, each node as wide as its number. A click zooms in.
import { el, fill } from "./dom.js";
import { share } from "./format.js";
import { frameColor } from "./colors.js";

const NARROWEST = 0.0015; // of the width: what is narrower is not drawn
const MOST_LEVELS = 60;

/** The stacks of goroutines as a tree, its numbers by `metric`. */
export function stackTree(stacks, metric) {
  const root = { name: "all goroutines", value: 0, children: [], index: new Map() };
  for (const stack of stacks.stacks) {
    const value = stack[metric];
    if (!value) continue;
    root.value += value;
    let node = root;
    for (const text of stack.frames) {
      let child = node.index.get(text);
      if (child === undefined) {
        const [name, place] = stacks.texts[text].split("\t");
        child = { name, note: place, value: 0, children: [], index: new Map() };
        node.index.set(text, child);
        node.children.push(child);
      }
      child.value += value;
      child.states = child.states || {};
      for (const [state, many] of Object.entries(stack.states)) {
        child.states[state] = (child.states[state] || 0) + many;
      }
      node = child;
    }
  }
  return root;
}

/** An icicle of nodes {name, value, children, note}. `say(node, root)` tells of the node under the pointer. */
export function icicle(root, { text, say, chosen = null, label }) {
  const box = el("div", { class: "icicle", role: "tree", "aria-label": label });
  let top = root;
  const parents = new Map();
  const learn = (node) => node.children.forEach((child) => (parents.set(child, node), learn(child)));
  learn(root);

  function path() {
    const above = [];
    for (let node = parents.get(top); node; node = parents.get(node)) above.unshift(node);
    return above;
  }

  function draw() {
    const bars = [];
    const above = path();
    above.forEach((node, level) => bars.push(bar(node, level, 0, 1, true)));
    let deepest = above.length;
    const place = (node, level, left, width) => {
      deepest = Math.max(deepest, level);
      bars.push(bar(node, level, left, width, false));
      if (level >= MOST_LEVELS) return;
      let at = left;
      for (const child of [...node.children].sort((one, other) => other.value - one.value)) {
        const wide = node.value ? (width * child.value) / node.value : 0;
        if (wide >= NARROWEST) place(child, level + 1, at, wide);
        at += wide;
      }
    };
    place(top, above.length, 0, 1);
    box.style.height = `${(deepest + 1) * 23}px`;
    fill(box, bars);
  }

  function bar(node, level, left, width, faded) {
    const said = `${node.name}: ${text(node.value)}, ${share(node.value, root.value)}`;
    const zoom = () => {
      top = node;
      draw();
      const again = box.querySelector("[data-top]");
      if (again) again.focus();
      if (chosen) chosen(node);
    };
    return el(
      "button",
      {
        type: "button",
        role: "treeitem",
        class: faded ? "bar faded" : "bar",
        "aria-label": said,
        "aria-level": String(level + 1),
        "data-top": node === top ? "" : null,
        onclick: zoom,
        onmouseenter: () => say(node, root),
        onfocus: () => say(node, root),
        onkeydown: walk,
        style: {
          left: `${left * 100}%`,
          width: `${width * 100}%`,
          top: `${level * 23}px`,
          background: frameColor(node.name),
        },
      },
      width > 0.02 ? `${node.name} ${width > 0.12 ? text(node.value) : ""}` : "",
    );
  }

  function walk(event) {
    if (event.key === "Escape" || event.key === "Backspace") {
      top = parents.get(top) || root;
      draw();
      event.stopPropagation();
      const again = box.querySelector("[data-top]");
      if (again) again.focus();
      return;
    }
    const all = [...box.children];
    const here = all.indexOf(event.currentTarget);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const next = all[here + step];
    if (next) next.focus();
  }

  draw();
  return box;
}
