"""The page in a real browser: every number is that of the JSON, every cell answers as `whereis` does, nothing
is loaded, and no name of the target becomes markup."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import pytest
from harness import firefox, full_matrix
from harness.browser import MISSING, Browser, is_there
from harness.build import Builder
from harness.command import cli
from harness.held import stop
from harness.processes import Processes
from harness.scenes import start
from harness.toolchains import Toolchain

from addrspace_gdb.common import sizes
from addrspace_gdb.views.web.moment import Moment, commands
from addrspace_gdb.views.web.pack import Packed
from addrspace_gdb.views.web.page import page

EACH_ONCE = True
PAGE = 8192
ADDRESSES, PAGES = 200, 100  # that are asked for, and of them pages of the heap


class Looked:
    """A stopped Go program, its page, and what the other commands say of it at the same time."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.page = folder / "space.html"
        done = cli("html", pid, "--output", self.page)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        self.pid = pid
        self.space = self.ask("dump")
        self.rss = self.ask("rss", "--by-class")
        self.heap = self.ask("heap")
        self.goroutines = self.ask("goroutine-stacks", "--system")["goroutines"]

    def ask(self, *words: object) -> Dict[str, Any]:
        """A document of another command."""
        word, *options = words
        done = cli(word, self.pid, "--format", "json", *options)
        assert (done.returncode, done.stderr) == (0, "")
        found: Dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def looked(
    newest_go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Looked]:
    """The sample program, which stands still."""
    folder = tmp_path_factory.mktemp("looked")
    processes = Processes()
    try:
        yield Looked(
            stop(start(processes, build_program("sample", newest_go), folder / "oracle")).pid, folder
        )
    finally:
        processes.kill_all()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One for all tests."""
    if not is_there():
        pytest.skip(MISSING)
    made = Browser(tmp_path_factory.mktemp("browser"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def opened(browser: Browser, looked: Looked) -> Iterator[Browser]:
    """The page, which says nothing to the console and asks for nothing, whatever a test does with it."""
    browser.resize(1280, 720)
    browser.requests()
    browser.open(looked.page)
    yield browser
    assert browser.log() == []
    assert browser.requests() == [looked.page.as_uri()]


def test_every_sum_is_that_of_the_json(opened: Browser, looked: Looked) -> None:
    found = opened.ask("sums")
    areas = {one["area"]: [one["size"], one["resident"]] for one in looked.space["areas"]}
    assert found["areas"] == {area: areas[area] for area in found["areas"]}
    assert set(found["areas"]) == {region["area"] for region in looked.space["regions"]}
    assert found["pages"] == {one["use"]: one["size"] for one in looked.heap["uses"] if one["size"]}
    assert found["resident"] == sum(one["resident"] for one in looked.heap["uses"])
    assert found["spans"] == sum(one["size"] for one in looked.heap["classes"])
    objects = looked.heap["objects"]
    assert found["slots"] == {name: objects[name] for name in ("live", "since", "dead", "free")}
    assert found["objects"] == objects["live"] + objects["since"] + objects["dead"]
    stacks = [one["stack"] for one in looked.goroutines]
    assert found["goroutines"][0] == len(stacks) == looked.space["goroutines"]["total"]
    sums = [sum(one[name] or 0 for one in stacks) for name in ("size", "used", "resident")]
    assert found["goroutines"][1:] == sums


def test_what_is_shown_is_that_of_the_json(opened: Browser, looked: Looked) -> None:
    assert opened.text("#panel .total b") == f"{looked.rss['tree']['resident']:,} bytes"
    first = looked.rss["findings"][0]["sentence"].replace(
        "`addrspace heap`", f"addrspace-gdb heap {looked.pid}"
    )
    assert first in opened.text("#findings") and "`" not in first
    assert "unexplained: 0 B" in opened.text("#badge")
    nodes = [looked.rss["tree"]]
    for node in nodes:
        nodes += node["children"]
    shown = [row[2] for row in opened.ask("rows")]
    assert sorted(shown) == sorted(f"{node['resident']:,}" for node in nodes)
    opened.click("#tab-tables")
    opened.ask("choose", "#panel select", "size classes")
    assert [row[3] for row in opened.ask("rows")] == [f"{one['size']:,}" for one in looked.heap["classes"]]


def some_addresses(looked: Looked) -> List[str]:
    """Pages of the heap, places in them, and places in all other regions."""
    rng = random.Random(18)
    used = [run for run in looked.heap["pages"] if run["use"] in ("objects", "stacks")]
    runs = [(int(run["start"], 16), int(run["end"], 16)) for run in used]
    regions = [(int(one["start"], 16), int(one["end"], 16)) for one in looked.space["regions"]]
    pages = [rng.randrange(low, high, PAGE) for low, high in rng.choices(runs, k=PAGES)]
    rest = rng.choices(runs, k=ADDRESSES // 4) + rng.choices(regions, k=ADDRESSES // 4)
    return [hex(one) for one in [*pages, *(rng.randrange(low, high) for low, high in rest)]]


def test_cells_answer_as_whereis_does(opened: Browser, looked: Looked) -> None:
    asked = some_addresses(looked)
    places = looked.ask("whereis", *asked)["places"]
    assert len(places) == ADDRESSES
    found = opened.ask("whereis", asked)
    for place, one in zip(places, found):
        assert_alike(place, one)
    for address, (said, hit), one in zip(asked, opened.ask("hits", asked[:PAGES]), found):
        assert (hex(hit), said) == (address, f"{address} {one['what']}")


def assert_alike(place: Dict[str, Any], one: Dict[str, Any]) -> None:
    """The page's answer is that of `whereis`, as far as it goes."""
    region = one["region"]
    assert one["area"] == place["area"]
    assert region["start"] <= int(place["region"]["start"], 16)
    assert region["end"] >= int(place["region"]["end"], 16)
    assert region["permissions"] == place["mapping"]["permissions"]
    thing = place["object"]
    if thing is not None and thing["base"] is not None:
        slot, span = one["slot"], one["span"]
        assert [hex(span["start"]), hex(span["end"])] == [thing["span"]["start"], thing["span"]["end"]]
        assert (span["holds"], span["noscan"]) == (thing["holds"], thing["noscan"])
        theirs = [int(thing["base"], 16), *(thing[name] for name in ("slot", "size", "offset", "state"))]
        assert [slot[name] for name in ("base", "number", "size", "offset", "state")] == theirs
        assert f"{thing['size']:,}-byte slot" in one["what"]
    stack = place["stack"]
    if stack is not None and stack["goid"] is not None and one["stack"] is not None:
        assert one["stack"]["owner"] == stack["goid"]


def test_the_mouse(opened: Browser, looked: Looked) -> None:
    """A click selects and shows the slots; a slot can be pressed; a drag says what the range has."""
    runs = [run for run in looked.heap["pages"] if run["use"] == "objects"]
    low, high = max(((int(r["start"], 16), int(r["end"], 16)) for r in runs), key=lambda run: run[1] - run[0])
    address = hex(next(page for page in range(low, high, PAGE) if page // PAGE % 64 == 8))  # in column 8
    opened.run("addrspace.select(Number(arguments[0])); addrspace.select(null)", address)
    x, y = opened.ask("pointOf", int(address, 16))
    opened.point(x, y, click=True)
    assert opened.text("#card h2") == address
    assert f"#a={address}&" in opened.run("return location.hash")
    assert f"addrspace-gdb whereis {looked.pid} {address}" in opened.text("#card .commands")
    assert "taken" in opened.text("#card dl")
    x, y = opened.ask("pointOf", int(address, 16))
    opened.point(x, y, drag_to=(x + 12, y))
    assert f"addrspace-gdb spans {looked.pid} --range" in opened.text("#card .commands")
    assert "objects" in opened.text("#card dl")
    facts = opened.text("#card dl")
    hash_ = opened.run("return location.hash")
    assert f"r={address}-" in hash_ and "a=" not in hash_
    opened.open(looked.page, hash_)
    assert opened.text("#card dl") == facts
    opened.requests()
    opened.open(looked.page)


def test_what_is_chosen_in_a_tree_or_a_table_is_shown_alone(opened: Browser, looked: Looked) -> None:
    lit = "return addrspace.map().layer.litPages"
    used = {one["use"]: one["size"] // PAGE for one in looked.heap["uses"]}
    for name, pages in (("objects", used["objects"]), ("process", 0), ("goroutine stacks", used["stacks"])):
        opened.ask("pressBar", name)
        assert (name, opened.run(lit)) == (name, pages)
    opened.click("#tab-tables")
    opened.ask("choose", "#panel select", "size classes")
    opened.ask("pressAll", "#panel tbody tr:first-child")
    assert opened.run(lit) == looked.heap["classes"][0]["size"] // PAGE
    assert "lit=class" in opened.run("return location.hash")
    opened.press("Escape")
    assert opened.run(lit) == 0


def test_ages(opened: Browser, looked: Looked) -> None:
    """What survived the last collection, span by span, adds up to what the heap says."""
    objects = looked.heap["objects"]
    taken = objects["live"] + objects["since"] + objects["dead"]
    assert opened.ask("ages") == [objects["live"], taken]
    assert opened.ask("options", "#mode") == ["use", "occupancy", "class", "scan", "age", "resident"]


def test_types_have_colours(browser: Browser, looked: Looked, tmp_path: Path) -> None:
    file = tmp_path / "types.html"
    done = cli("html", looked.pid, "--types", "-o", file, ADDRSPACE_GRAPH_PLAIN="1")
    assert (done.returncode, done.stderr) == (0, "")
    browser.open(file)
    assert "type" in browser.ask("options", "#mode")
    browser.ask("choose", "#mode", "type")
    told = browser.run("return addrspace.spaces[0].told.types.types")
    known = {row["type"] for row in told}
    found = browser.run("return addrspace.spaces[0].told.heap.types")
    assert len(found) > 3 and known.issuperset(found)
    large = [row["type"] for row in told if row["type"] is not None and row["bytes"] > 1 << 15]
    assert set(large) & set(found)
    assert found[0] is None or found[0] in browser.text("#legend")
    browser.ask("search", next(name for name in found if name is not None))
    browser.click("#card .hits button")
    assert browser.run("return addrspace.state.lit").startswith("type:")
    assert browser.run("return addrspace.map().layer.litPages") > 0
    assert browser.log() == []


def test_the_keyboard(opened: Browser, looked: Looked) -> None:
    opened.run("document.getElementById('map').focus()")
    opened.press("+", "ArrowDown", "ArrowRight")
    selected = opened.run("return addrspace.state.address")
    assert selected >= int(looked.heap["arenas"][0]["start"], 16)
    assert opened.text("#card h2") == hex(selected)
    opened.press("Escape")
    assert opened.run("return addrspace.state.address") is None
    goid = looked.goroutines[-1]["goid"]
    opened.press("/", f"g{goid}", "Enter")
    assert f"goroutine {goid}" in opened.text("#card")
    opened.run("document.getElementById('tab-rss').focus()")
    opened.press("ArrowRight")
    assert opened.run("return addrspace.state.tab") == "goroutines"
    opened.run("document.querySelector('.icicle .bar').focus()")
    opened.press("ArrowRight")
    assert "goroutines" in opened.text("#said")
    opened.press("Enter")
    assert opened.run("return document.activeElement.dataset.top") == ""
    opened.press("Escape")
    assert opened.run("return document.querySelectorAll('.icicle .faded').length") == 0


def test_search(opened: Browser) -> None:
    opened.ask("search", "main.descend")
    assert "in main." in opened.text("#card .hits")
    opened.click("#card .hits button")
    assert opened.run("return addrspace.state.tab") == "goroutines"
    opened.ask("search", "no such thing")
    assert "Nothing found" in opened.text("#card")


def test_the_address_bar_keeps_the_selection(browser: Browser, looked: Looked) -> None:
    address = looked.heap["pages"][0]["start"]
    browser.open(looked.page, f"#a={address}&tab=tables&map=occupancy&table=size%20classes")
    assert browser.text("#card h2") == address
    assert browser.run("return document.getElementById('mode').value") == "occupancy"
    assert "size classes" in browser.text("#panel caption")
    for nonsense in ("#a=0xzz&m=99&tab=no&map=no", "#%%%", "#a=0x" + "f" * 40, "#m=-1&table=__proto__"):
        browser.open(looked.page, nonsense)
        assert browser.log() == []


def test_a_size_is_said_as_a_terminal_says_it(opened: Browser) -> None:
    rng = random.Random(17)
    amounts = [0, 1, 1023, 1024, 132 << 10, (1 << 20) - 1, (1 << 40) - 1, 10 << 40, 128 << 40, 1 << 60]
    amounts += [round(2 ** rng.uniform(0, 50)) for _ in range(200)]
    said = opened.run("return arguments[0].map((one) => [one, -one].map(addrspace.size))", amounts)
    assert said == [[sizes.size(one), sizes.size(-one) if one else "0 B"] for one in amounts]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_can_be_read(browser: Browser, looked: Looked, theme: str) -> None:
    browser.theme(theme)
    try:
        browser.open(looked.page)
        back = browser.ask("background")
        assert (back == "rgb(255, 255, 255)") == (theme == "light")
        assert browser.ask("contrast") >= 4.5
        browser.click("#theme")
        assert browser.ask("background") != back
        assert browser.ask("contrast") >= 4.5
        assert browser.log() == []
    finally:
        browser.theme("light")


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080), (760, 900)])
def test_nothing_is_cut_off_at_any_size(browser: Browser, looked: Looked, width: int, height: int) -> None:
    browser.resize(width, height)
    browser.open(looked.page)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("return document.getElementById('mapbox').clientHeight") >= 180
    assert browser.ask("overlaps") == []


NAMES = (
    "</script><script>document.title='owned'</script>",
    "<img src=http://127.0.0.1:9/x onerror=\"document.title='owned'\">",
    "<!--<script>",
    "' onmouseover='document.title=1' \"",
    "javascript:document.title='owned'",
    "\u202egnp.exe\u2066\u200b",
    "{{constructor.constructor('return 1')()}}",
    "a\x00b\x1b[31m\x7f\u2028",
    "]]>",
    "__proto__",
    "\U000e0041\ufeff",
)
OF_TEXT = "\u202e\u2066\u200b\x1b\ufeff\U000e0041"  # what turns or hides other text


def hostile(names: Sequence[str]) -> Moment:
    """A moment that has such names everywhere."""
    packed = Packed()
    one, count = names[0], len(names)
    packed.add("region.start", [0x400000 + 0x10000 * at for at in range(count)], delta=True)
    packed.add("region.size", [0x10000] * count)
    packed.add("region.resident", [0x1001] * count)
    packed.add("region.what", range(count))
    target = {"kind": "live", "pid": 7, "executable": f"/srv/{one}", "arch": one, "go_version": names[-1]}
    stack = {"system": False, "count": 1, "size": 8192, "used": 1, "resident": 1}
    stacks = [
        {**stack, "frames": [at], "function": name, "states": {name: 1}} for at, name in enumerate(names)
    ]
    leaf = {"size": 9, "resident": 9, "swapped": 0, "kept": 9, "note": one, "children": []}
    tree = {**leaf, "name": one, "children": [{**leaf, "name": name} for name in names]}
    document = {
        "target": target,
        "name": one,
        "taken": one,
        "regions": [["mapped-files", name, name, "rw-p", f"/{name}"] for name in names],
        "areas": [{"area": name, "size": 1, "resident": 1} for name in names],
        "goroutines": {"total": count, "by_status": {}},
        "memstats": dict.fromkeys(names, 1),
        "rss": {"tree": tree, "balances": [], "findings": [{"sentence": name} for name in names]},
        "types": {"types": [{"type": name, "bytes": 1, "objects": 1} for name in names]},
        "notes": list(names),
        "problems": list(names),
        "checks": [],
        "commands": commands(),
        "heap": None,
        "goroutine_stacks": {"texts": [f"{n}\t{n}:1" for n in names], "stacks": stacks, "left_out": one},
        "gc_phase": one,
        "columns": packed.columns,
    }
    return Moment(document, packed)


def test_names_are_never_markup(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "hostile.html"
    file.write_text("".join(page([hostile(NAMES), hostile(NAMES[::-1])], NAMES[0])), encoding="utf-8")
    browser.requests()
    browser.open(file)
    for tab in ("rss", "goroutines", "tables", "changes"):
        browser.click(f"#tab-{tab}")
        for table in browser.ask("options", "#panel select"):
            browser.ask("choose", "#panel select", table)
        browser.ask("pressAll", ".bar, tr.go, .rung")
    for name in NAMES:
        browser.ask("search", name)
        browser.ask("pressAll", ".hits button")
    assert browser.run("return document.title") == NAMES[0]
    assert browser.run("return document.querySelectorAll('img, iframe, a, object, embed, base').length") == 0
    assert browser.run("return document.scripts.length") == 1
    text = browser.ask("allText")
    assert not set(OF_TEXT) & set(text)
    assert "\\u{202e}gnp.exe" in text
    assert browser.log() == []
    assert browser.requests() == [file.as_uri()]


def test_the_policy_holds(browser: Browser, looked: Looked) -> None:
    """What the page itself may not do, even if it tried."""
    browser.open(looked.page)
    assert browser.ask("breakOut")
    assert any("Content Security Policy" in line for line in browser.log())


def test_moments(browser: Browser, looked: Looked, tmp_path: Path) -> None:
    """Dumps of several moments: a slider, a timeline and what has changed."""
    dumps = [tmp_path / f"{number}.json" for number in range(3)]
    done = cli("dump", looked.pid, "--format", "json", "--stacks", "-o", dumps[0])
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(dumps[0].read_text())
    less = next(region for region in told["regions"] if region["area"] == "heap" and region["resident"])
    for dump in dumps[1:]:
        dump.write_text(json.dumps(told))
        less["resident"] -= 4096
    file = tmp_path / "moments.html"
    done = cli("html", *dumps, "-o", file)
    assert (done.returncode, done.stderr) == (0, "")
    browser.open(file)

    def change() -> str:
        return next(str(row[4]) for row in browser.ask("rows") if row[0] == "heap")

    assert "3 of 3" in browser.text("#moments output") and change() == "\u22124.0 KiB"  # what is looked for
    less_by = browser.text("#findings")
    assert re.fullmatch(
        r"Resident memory shrank by 4\.0 KiB since .*, to [\d.]+ MiB: the Go heap by 4\.0 KiB\.", less_by
    )
    browser.ask("choose", "#moments input", "0")
    assert "1 of 3" in browser.text("#moments output") and change() == ""
    assert browser.text("#findings") == ""
    browser.ask("choose", "#moments input", "2")
    assert change() == "\u22124.0 KiB"
    for width in (1280, 1920, 800):
        browser.resize(width, 720)
        assert (width, browser.ask("overlaps"), browser.ask("cutTables")) == (width, [], [])
    assert browser.ask("options", "#mode") == ["use", "change"]
    first = next(region for region in told["regions"] if region["area"] == "heap" and region["resident"])
    browser.ask("choose", "#wipe input", "64")
    (said, _), *_ = browser.ask("hits", [first["start"]])
    assert said.startswith(f"{first['start']} ") and said.endswith("(then too)")
    assert "wipe=64" in browser.run("return location.hash")
    for mode in ("use", "change"):
        browser.ask("choose", "#mode", mode)
        browser.ask("choose", "#wipe input", "7")
    assert browser.log() == []


def test_a_watch_is_a_timeline(browser: Browser, looked: Looked, tmp_path: Path) -> None:
    lines, file = tmp_path / "watch.jsonl", tmp_path / "watch.html"
    done = cli("watch", looked.pid, "--every", "100ms", "--for", "400ms", "--at-most", "100", "-o", lines)
    assert (done.returncode, done.stderr) == (0, "")
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(told) > 2
    done = cli("html", lines, "-o", file)
    assert (done.returncode, done.stderr) == (0, "")
    browser.requests()
    browser.open(file)
    assert browser.run("return addrspace.spaces.length") == len(told) - 1  # the last one has the verdict
    for number, one in enumerate(told[:-1]):
        browser.ask("choose", "#moments input", str(number))
        resident = browser.run("return addrspace.spaces[addrspace.state.moment].told.rss.tree.resident")
        assert resident == one["figures"]["rss"]["now"]
    browser.click("#tab-rss")
    rss = told[-1]["figures"]["rss"]["now"]
    assert browser.text("#panel .total b") == f"{rss:,} bytes"
    assert browser.text("#findings") == told[-1]["verdict"]["sentence"]
    assert browser.ask("chart") == [len(told) - 1, True]
    assert browser.log() == []
    assert browser.requests() == [file.as_uri()]


@pytest.mark.skipif(not full_matrix(), reason="5 GB and half a minute: ADDRSPACE_MATRIX=1")
def test_a_large_heap(
    browser: Browser, newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    """530,000 spans: 4 MB, drawn within 2 s, a frame within 16 ms, a tab below 300 MB."""
    command = [str(build_program("nodes", newest_go).path), str(tmp_path / "oracle"), str(530_000 * 102)]
    large, file = processes.start(command).wait_ready(120), tmp_path / "large.html"
    done = cli("html", large.pid, "-o", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert file.stat().st_size <= 4 << 20
    browser.resize(1280, 720)
    assert browser.open(file) < 2
    assert browser.run("return addrspace.spaces[0].columns['span.page'].length") > 530_000
    for pages in (1, 16, 128):
        assert browser.ask("frame", pages) < 16
    assert browser.tab_bytes() < 300 << 20
    assert browser.log() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["html", "/bin/true", "/bin/true", "-o", "x"], "one process or core file, or dumps"),
        (["html", __file__, "-o", "x"], "is not a dump (addrspace/1)"),
        (["html", "--types", __file__, "-o", "x"], "a dump has neither types"),
    ],
)
def test_what_cannot_be(arguments: List[str], said: str) -> None:
    done = cli(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(firefox.program() is None, reason=firefox.MISSING)
def test_firefox(looked: Looked, tmp_path: Path) -> None:
    """The same sums and the same answers in another browser, in which nothing goes wrong either."""
    fox = firefox.Firefox(tmp_path)
    try:
        fox.open(looked.page, "#map=age&tab=goroutines")
        found = fox.ask("sums")
        assert found["pages"] == {one["use"]: one["size"] for one in looked.heap["uses"] if one["size"]}
        assert found["goroutines"][0] == len(looked.goroutines)
        asked = some_addresses(looked)
        for place, one in zip(looked.ask("whereis", *asked)["places"], fox.ask("whereis", asked)):
            assert_alike(place, one)
        for address, (_, hit) in zip(asked, fox.ask("hits", asked[:PAGES])):
            assert hex(hit) == address
        for tab in ("rss", "goroutines", "tables"):
            fox.ask("pressAll", f"#tab-{tab}")
            fox.ask("pressAll", ".bar, tr.go, .rung")
        for mode in fox.ask("options", "#mode"):
            fox.ask("choose", "#mode", mode)
        fox.ask("search", "main.descend")
        assert "in main." in fox.text("#card .hits")
        assert fox.run("return document.documentElement.scrollWidth <= innerWidth")
        assert fox.errors == ""
    finally:
        fox.close()
