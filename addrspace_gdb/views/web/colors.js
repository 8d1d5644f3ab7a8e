// Colours: told apart by colour-blind eyes and by their brightness alone; those of uses have patterns too.

const LIGHT = {
  back: "#ffffff",
  none: "#f3f4f6",
  line: "#d0d5db",
  ink: "#1c2329",
  uses: {
    objects: "#1d5fa6",
    stacks: "#e08a00",
    other: "#8b1a62",
    free: "#8cc7b0",
    returned: "#d3dbe2",
    reserved: "#f3f4f6",
    program: "#c9b458",
    data: "#7d6b2b",
  },
  ramp: ["#d9e8f7", "#08306b"],
  resident: ["#e3e7eb", "#7fa8cf", "#1d5fa6"],
  unknown: "#8a939c",
  grown: "#c23b22",
  shrunk: "#2f6fb0",
};

const DARK = {
  back: "#12161b",
  none: "#191e24",
  line: "#343c46",
  ink: "#e4e9ee",
  uses: {
    objects: "#5b9fe8",
    stacks: "#f5b041",
    other: "#d65fa5",
    free: "#3d7f68",
    returned: "#333d48",
    reserved: "#191e24",
    program: "#8f7f35",
    data: "#d9c977",
  },
  ramp: ["#1d3550", "#a8d3ff"],
  resident: ["#2a323b", "#3f6a96", "#7db8f5"],
  unknown: "#6b7682",
  grown: "#ff7c66",
  shrunk: "#6db1f2",
};

const AREAS = {
  heap: "objects",
  "goroutine-stacks": "stacks",
  "thread-stacks": "stacks",
  runtime: "other",
  code: "program",
  globals: "data",
  // The parts of a watch.
  heap_in_use: "objects",
  heap_free: "free",
  stacks: "stacks",
  thread_stacks: "stacks",
  program: "program",
};

/** Hues of size classes and of frames, far apart for neighbours. */
const HUES = [210, 35, 320, 160, 265, 75, 10, 190, 290, 110, 50, 235, 340, 140];

export function darkTheme() {
  const forced = document.documentElement.dataset.theme;
  if (forced) return forced === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

export function theme() {
  return darkTheme() ? DARK : LIGHT;
}

/** The colour of an area's box. */
export function areaColor(area) {
  return theme().uses[AREAS[area]] || theme().uses.returned;
}

/** A colour for the number-th of many things. */
export function manyColor(number) {
  const light = (darkTheme() ? 58 : 44) + 9 * (number % 3);
  return `hsl(${HUES[number % HUES.length]} 52% ${light}%)`;
}

/** Of text on a frame of the icicles. */
export function frameColor(name) {
  let sum = 0;
  for (let at = 0; at < name.length; at += 1) sum = (sum * 31 + name.charCodeAt(at)) % 9973;
  const hue = HUES[sum % HUES.length];
  return darkTheme() ? `hsl(${hue} 34% ${22 + (sum % 3) * 2}%)` : `hsl(${hue} 58% ${80 + (sum % 3) * 4}%)`;
}

/** A colour as [red, green, blue]. */
export function rgb(color) {
  if (color.startsWith("#")) return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  const canvas = rgb.canvas || (rgb.canvas = document.createElement("canvas").getContext("2d"));
  canvas.fillStyle = color;
  return rgb(canvas.fillStyle);
}

/** A colour [red, green, blue] that stands back. */
export function dimmed(color) {
  const back = rgb(theme().back);
  return color.map((part, at) => Math.round(0.13 * part + 0.87 * back[at]));
}

/** A colour between the two of the ramp: 0 to 1. */
export function rampColor(part) {
  const [low, high] = theme().ramp.map(rgb);
  return low.map((from, at) => Math.round(from + (high[at] - from) * part));
}
