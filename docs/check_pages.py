"""Check built pages: every link and picture leads somewhere; with a browser, also their width.

``python docs/check_pages.py docs/_build/html`` needs nothing but Python. Links to other sites are
not followed. ``--browser chromium`` lays each page out at the width of a phone and reports those
that would have to be scrolled sideways, and pictures that the browser could not draw.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

PHONE = 375
ATTRIBUTES = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src"}
PROBE = """<script>
addEventListener("load", () => {
  const width = document.documentElement.clientWidth;
  const wide = document.documentElement.scrollWidth - width;
  const boxed = (e) => {
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
      if (getComputedStyle(p).overflowX !== "visible") return true;
    return false;
  };
  const who = wide <= 0 ? [] : [...document.querySelectorAll("main *")]
    .filter((e) => e.getBoundingClientRect().right > width + 1 && !boxed(e))
    .slice(0, 3).map((e) => e.tagName + "." + e.className);
  const undrawn = [...document.images].filter((i) => i.complete && !i.naturalWidth)
    .map((i) => i.getAttribute("src"));
  const said = [`PROBE width=${width} over=${wide}`, ...who, "undrawn=" + undrawn.join(" ")];
  parent.postMessage(said.join(" ") + " END", "*");
});
</script>"""


class Page(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.bare_pictures: list[str] = []
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


def look(browser: str, path: Path, root: Path) -> list[str]:
    """Lay a page out at a phone's width."""
    text = path.read_text(encoding="utf-8")
    # A frame, because browsers don't make windows as narrow as a phone.
    probe = path.with_name(f"probe-{path.name}")
    frame = path.with_name(f"frame-{path.name}")
    listen = "addEventListener('message', (e) => { document.title = e.data; });"
    probe.write_text(text.replace("</head>", PROBE + "</head>"), encoding="utf-8")
    frame.write_text(
        f"<script>{listen}</script><iframe style='border:0' width={PHONE} height=800 "
        f"src='{probe.name}'></iframe>",
        encoding="utf-8",
    )
    try:
        with tempfile.TemporaryDirectory() as profile:
            run = subprocess.run(
                [
                    browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                    f"--user-data-dir={profile}", "--virtual-time-budget=8000",
                    "--allow-file-access-from-files", frame.resolve().as_uri(),
                ],
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [f"{path.relative_to(root)}: the browser took more than two minutes"]
    finally:
        probe.unlink()
        frame.unlink()
    name = path.relative_to(root)
    found = re.search(r"PROBE width=(\d+) over=(-?\d+) (.*?) ?undrawn=(.*?) END", run.stdout)
    if not found:
        return [f"{name}: the browser said nothing"]
    _, over, who, undrawn = found.groups()
    faults = [f"{name}: {over} px wider than a phone: {who}"] if int(over) > 0 else []
    return faults + ([f"{name}: not drawn: {undrawn}"] if undrawn.strip() else [])


def main() -> int:
    """Run the checks; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder of built pages")
    parser.add_argument("--browser", help="chromium, say")
    parser.add_argument("--jobs", type=int, default=2, help="pages looked at together")
    options = parser.parse_args()
    root = options.root.resolve()
    faults = check_links(root)
    pages = pages_of(root)
    if options.browser:
        with ThreadPoolExecutor(options.jobs) as pool:
            for found in pool.map(lambda path: look(options.browser, path, root), pages):
                faults += found
    print("\n".join(faults) or f"{len(pages)} pages, nothing to mend")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
