"""Check built pages: every link and picture leads somewhere; with a browser, also their layout.

``python docs/check_pages.py docs/_build/html`` needs nothing but Python. Links to other sites are
not followed. ``--browser chromium`` lays each page out at the widths of a phone and of
two screens. A table, a picture or code must fit, or scroll in a box whose bar is seen. Words in
lists of parameters must keep most of a phone's width, and the side bar must list pages. All pages
take some minutes; ``--only "results/*"`` lays out a part of them.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

WIDTHS = (390, 1280, 1440)  # a phone, a small and a usual screen
TOGETHER = 6  # pages laid out by one browser
ATTRIBUTES = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src"}
PRINTED = re.compile(r"\bText\(-?\d|(?:&lt;|<)matplotlib\.|object at 0x")
PROBE = """<script>
const measure = () => {
  const width = document.documentElement.clientWidth;
  const faults = [];
  const name = (e) => `${e.tagName.toLowerCase()} "${e.textContent.trim().slice(0, 30)}"`;
  const box = (e) => {  // what cuts an element off, or lets it scroll
    for (let p = e; p && p !== document.body; p = p.parentElement)
      if (!["visible", ""].includes(getComputedStyle(p).overflowX)) return p;
    return document.documentElement;
  };
  const scrolls = (e) => {  // with a bar that takes room, so that it is seen
    const style = getComputedStyle(e);
    const border = e.clientTop + parseFloat(style.borderBottomWidth);
    const bar = e.offsetHeight - e.clientHeight - border;
    return ["auto", "scroll"].includes(style.overflowX) && bar >= 4;
  };
  const page = document.documentElement.scrollWidth - width;
  if (page > 0) faults.push(`page ${page} px too wide`);
  const parts = "main :is(table, pre, img, svg, math, code, p, dt, li)";
  for (const e of document.querySelectorAll(parts)) {
    const around = box(e);
    const inside = e.getBoundingClientRect().right;
    const room = around.getBoundingClientRect().right;
    const over = Math.round(e === around ? e.scrollWidth - e.clientWidth : inside - room);
    if (e.getClientRects().length && over > 1 && !scrolls(around))
      faults.push(`${over} px cut off: ${name(e)}`);
  }
  for (const e of document.querySelectorAll("main dd > p"))
    if (e.offsetWidth && e.offsetWidth < 0.6 * Math.min(width, 600))
      faults.push(`${e.offsetWidth} px for words: ${name(e)}`);
  const side = [...document.querySelectorAll(".bd-sidebar-primary a")];
  if (width >= 960 && document.querySelector(".bd-sidebar-primary")
      && side.filter((a) => a.getClientRects().length).length < 5)
    faults.push("side bar without pages");
  for (const i of document.images)
    if (i.complete && !i.naturalWidth) faults.push("not drawn: " + i.getAttribute("src"));
  const path = decodeURIComponent(location.pathname);
  parent.postMessage([path, innerWidth, faults.slice(0, 5)], "*");
};
// On a busy machine, bars for scrolling may come after the load event.
addEventListener("load", () => setTimeout(measure, 500));
</script>"""
FRAME = """<body><script>
const said = [];
addEventListener("message", (e) => {
  said.push(e.data);
  document.title = "PROBE" + encodeURIComponent(JSON.stringify(said)) + "END";
});
</script>"""


class Page(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.bare_pictures: list[str] = []
        self.printed = PRINTED.findall(text)
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links, pictures and anchors."""
        found = {name: value or "" for name, value in attrs}
        self.anchors.update(found[name] for name in ("id", "name") if found.get(name))
        if ATTRIBUTES.get(tag) in found:
            self.targets.append(found[ATTRIBUTES[tag]])
        if tag == "img" and "alt" not in found:
            self.bare_pictures.append(found.get("src", ""))


def pages_of(root: Path) -> list[Path]:
    """The pages under a folder; the theme's own templates are none."""
    return [path for path in sorted(root.rglob("*.html")) if "_static" not in path.parts]


def check_links(root: Path) -> list[str]:
    """Say which links under a folder lead nowhere, and which pictures have no words."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in pages_of(root)}
    if not pages:
        return [f"{root}: no pages"]
    faults = []
    for path, page in pages.items():
        name = path.relative_to(root)
        faults += [f"{name}: no words for picture {src}" for src in page.bare_pictures]
        faults += [f"{name}: a printed object: {words}" for words in page.printed]
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or target in ("", "#"):
                continue
            place = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            if place.is_dir():
                place /= "index.html"
            fragment = unquote(parts.fragment)
            if not place.is_file():
                faults.append(f"{name}: nothing at {target}")
            elif fragment and place in pages and fragment not in pages[place].anchors:
                faults.append(f"{name}: no anchor {target}")
    return faults


def look(browser: str, paths: list[Path], root: Path) -> list[str]:
    """Lay pages out at each width."""
    # In frames, because browsers don't make windows as narrow as a phone.
    probes = {path: path.with_name(f"probe-{path.name}") for path in paths}
    frame = root / f"frame-{paths[0].relative_to(root).as_posix().replace('/', '-')}"
    frames = [
        f"<iframe style='border:0' width={width} height=800 src='{probe.as_uri()}'></iframe>"
        for probe in probes.values()
        for width in WIDTHS
    ]
    try:
        for path, probe in probes.items():
            text = path.read_text(encoding="utf-8")
            probe.write_text(text.replace("</head>", PROBE + "</head>"), encoding="utf-8")
        frame.write_text(FRAME + "".join(frames), encoding="utf-8")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            run = subprocess.run(
                [
                    browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                    f"--user-data-dir={profile}", "--virtual-time-budget=20000",
                    "--allow-file-access-from-files", frame.as_uri(),
                ],
                capture_output=True, text=True, timeout=240, check=False,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [f"{path.relative_to(root)}: no answer in four minutes" for path in paths]
    finally:
        for place in (*probes.values(), frame):
            place.unlink(missing_ok=True)
    found = re.search("PROBE(.*?)END", run.stdout)
    said = json.loads(unquote(found.group(1))) if found else []
    seen = {(name, width): faults for name, width, faults in said}
    faults = []
    for path, probe in probes.items():
        for width in WIDTHS:
            at = f"{path.relative_to(root)} at {width} px"
            answer = seen.get((probe.as_posix(), width), ["the browser said nothing"])
            faults += [f"{at}: {fault}" for fault in answer]
    return faults


def main() -> int:
    """Run the checks; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder of built pages")
    parser.add_argument("--browser", help="chromium, say")
    parser.add_argument("--jobs", type=int, default=2, help="browsers at work together")
    parser.add_argument("--only", default="*", help="pattern of the pages laid out, say results/*")
    options = parser.parse_args()
    root = options.root.resolve()
    faults = check_links(root)
    print(*faults, sep="\n", end="\n" if faults else "")
    pages = pages_of(root)
    if options.browser:
        names = {path: path.relative_to(root).as_posix() for path in pages}
        chosen = [path for path, name in names.items() if fnmatch(name, options.only)]
        groups = [chosen[i : i + TOGETHER] for i in range(0, len(chosen), TOGETHER)]
        with ThreadPoolExecutor(options.jobs) as pool:
            for found in pool.map(lambda paths: look(options.browser, paths, root), groups):
                print(*found, sep="\n", end="\n" if found else "", flush=True)
                faults += found
    if not faults:
        print(f"{len(pages)} pages, nothing to mend")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
