// What tests ask of the page: Browser.ask calls these by name, in the page itself.

const side = {
  /** All the page's columns added up. */
  sums() {
    const [space] = addrspace.spaces;
    const areas = {};
    const pages = {};
    for (let at = 0; at < space.regionCount; at += 1) {
      const region = space.region(at);
      areas[region.area] ??= [0, 0];
      areas[region.area][0] += region.size;
      areas[region.area][1] += region.resident;
    }
    const ranges = space
      .heapRanges()
      .map(([first, many]) => space.totals(first * 8192, (first + many) * 8192));
    for (const { uses } of ranges) {
      for (const [use, bytes] of Object.entries(uses)) pages[use] = (pages[use] || 0) + bytes;
    }
    const slots = { live: 0, since: 0, dead: 0, free: 0 };
    let spans = 0;
    space.columns["span.page"].forEach((_, at) => {
      if (!space.span(at).slots) return;
      spans += space.span(at).size;
      for (const one of space.slotsOf(at)) slots[one] += 1;
    });
    const all = (list, name) => list.reduce((total, one) => total + one[name], 0);
    const { stacks } = space.stacks;
    const goroutines = ["count", "size", "used", "resident"].map((name) => all(stacks, name));
    return {
      areas,
      pages,
      spans,
      slots,
      resident: all(ranges, "resident"),
      objects: all(ranges, "objects"),
      goroutines,
    };
  },

  /** What is said when the pointer is on the cell of each page, and which address the cell is of. */
  hits(addresses) {
    const map = addrspace.map();
    map.pagesInCell = 1;
    map.lay();
    return addresses.map((text) => {
      const address = Number(BigInt(text));
      map.show(address);
      const { x, y } = map.place(address);
      const frame = map.canvas.getBoundingClientRect();
      const point = { clientX: frame.left + x + 2, clientY: frame.top + y + 2 };
      map.canvas.dispatchEvent(new PointerEvent("pointermove", point));
      return [document.getElementById("said").textContent, addrspace.hit(x + 2, y + 2)];
    });
  },

  /** Objects that survived the last collection, and all of them, by what is known of each span. */
  ages() {
    const [space] = addrspace.spaces;
    const sums = [0, 0];
    space.columns["span.page"].forEach((_, at) => {
      const age = space.span(at).slots ? space.ageOf(at) : null;
      if (age === null) return;
      sums[0] += age.survived;
      sums[1] += age.used;
    });
    return sums;
  },

  /** Press the bar of an icicle whose node has a name. */
  pressBar(name) {
    [...document.querySelectorAll(".bar")]
      .find((one) => one.getAttribute("aria-label").startsWith(`${name}:`))
      .click();
  },

  /** How many moments the chart shows, and whether its layers are as high as all that is resident. */
  chart() {
    const layers = [...document.querySelectorAll(".chart polygon")].map((one) => one.points);
    const moments = layers[0].length / 2;
    const top = Math.min(...layers.flatMap((points) => [...points].map((point) => point.y)));
    return [moments, Math.abs(top) < 1];
  },

  whereis(addresses) {
    return addresses.map((text) => addrspace.spaces[0].whereis(Number(BigInt(text))));
  },

  /** The point of the window where the cell of an address is. */
  pointOf(address) {
    const place = addrspace.place(address);
    const frame = addrspace.map().canvas.getBoundingClientRect();
    return [frame.left + place.x + 3, frame.top + place.y + 3];
  },

  /** The cells of the panel's first table, row by row. */
  rows() {
    const body = document.querySelector("#panel tbody");
    return [...body.rows].map((row) => [...row.cells].map((cell) => cell.textContent));
  },

  options(selector) {
    return [...document.querySelectorAll(`${selector} option`)].map((one) => one.value);
  },

  /** Set a control to a value as a person would. */
  choose(selector, value) {
    const control = document.querySelector(selector);
    control.value = value;
    for (const event of ["input", "change"]) control.dispatchEvent(new Event(event));
  },

  search(text) {
    document.getElementById("search").value = text;
    document.getElementById("find").requestSubmit();
  },

  /** Point at everything of a kind, and press it. */
  pressAll(selector) {
    for (const one of document.querySelectorAll(selector)) {
      one.dispatchEvent(new Event("mouseenter"));
      one.click();
    }
  },

  /** The least contrast (WCAG) of any text with what is behind it. */
  contrast() {
    const part = (one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    const luminance = (color) => {
      const [red, green, blue] = color.match(/[\d.]+/g).map((one) => part(one / 255));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const none = "rgba(0, 0, 0, 0)";
    const behind = (one) => {
      const color = getComputedStyle(one).backgroundColor;
      return color !== none || !one.parentElement ? color : behind(one.parentElement);
    };
    const found = [
      ...document.querySelectorAll("h1, #facts li, .quiet, .amount, .bar, #badge span, td, .gap"),
    ].map((one) => {
      const [low, high] = [luminance(getComputedStyle(one).color), luminance(behind(one))].sort(
        (a, b) => a - b,
      );
      return (high + 0.05) / (low + 0.05);
    });
    return Math.min(...found);
  },

  /** Milliseconds that frames take while the map is scrolled through, the middle one of 60. */
  frame(pagesInCell) {
    const map = addrspace.map();
    map.pagesInCell = pagesInCell;
    map.lay();
    const times = [];
    for (let at = 0; at < 60; at += 1) {
      map.box.scrollTop = at * 37;
      const began = performance.now();
      map.draw();
      times.push(performance.now() - began);
    }
    return times.sort((one, other) => one - other)[30];
  },

  background() {
    return getComputedStyle(document.body).backgroundColor;
  },

  /** Tables that are wider than their place. */
  cutTables() {
    const cut = [...document.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth + 1);
    return cut.map((one) => one.querySelector("caption").textContent);
  },

  /** Texts, controls and charts above the three panes and on top of each that lie on one another. */
  overlaps() {
    const all = document.querySelectorAll("header *, #moments *, #findings *, .bar-of *, #tabs *");
    const leaves = [...all].filter(
      (one) => one.matches("input, select, button, svg") || (!one.children.length && one.textContent.trim()),
    );
    const shown = leaves.filter((one) => one.getClientRects().length && !one.closest("option") && !one.parentElement.closest("svg"));
    const boxes = shown.map((one) => {
      const range = document.createRange();
      range.selectNodeContents(one);
      return one.matches("input, select, svg") ? one.getBoundingClientRect() : range.getBoundingClientRect();
    });
    const found = [];
    boxes.forEach((one, at) =>
      boxes.slice(0, at).forEach((other, before) => {
        const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
        const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
        if (wide > 2 && high > 2) found.push([shown[before], shown[at]].map((each) => each.textContent || each.id || each.tagName));
      }),
    );
    return found;
  },

  /** All the text there is, hidden or not, but for what is in scripts. */
  allText() {
    return document.body.innerText + document.getElementById("notes").textContent;
  },

  /** Try what the page's policy must refuse; whether it did. */
  breakOut() {
    const script = document.createElement("script");
    script.textContent = "window.owned = 1";
    const image = new Image();
    image.src = "http://127.0.0.1:9/x.png";
    document.body.append(script, image);
    return window.owned === undefined;
  },
};
