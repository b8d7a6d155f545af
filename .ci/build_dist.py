"""Build the wheel and the source archive so that the same files give the same bytes.

    python .ci/build_dist.py dist            # build
    python .ci/build_dist.py dist --again    # build, and once more from the unpacked archive

The time in both is SOURCE_DATE_EPOCH, else that of the last commit. The second build has another
folder, another mask of file modes and another time on its files; it must have the same bytes.
"""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EARLIEST = 315532800
"""The year 1980, the first that a wheel can name."""


def main(arguments: list[str]) -> int:
    """Build into a folder, and compare with a second build if that is asked for."""
    out, again = Path(arguments[0]).resolve(), "--again" in arguments[1:]
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or last_commit(ROOT) or EARLIEST)
    shutil.rmtree(out, ignore_errors=True)
    build(ROOT, out, epoch)
    digests = digests_of(out)
    if again:
        with tempfile.TemporaryDirectory() as folder:
            other = digests_of(built_from_archive(out, Path(folder), epoch))
        if other != digests:
            print(f"two builds differ:\n{digests}\n{other}")
            return 1
    for name, digest in digests.items():
        print(f"{digest}  {name}")
    return 0


def last_commit(folder: Path) -> str | None:
    """Return the time of the last commit, or None outside of a repository."""
    found = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=folder, capture_output=True, text=True
    )
    return found.stdout.strip() or None if found.returncode == 0 else None


def build(source: Path, out: Path, epoch: int) -> None:
    """Build the wheel and the source archive of a folder."""
    environment = {
        **os.environ,
        "SOURCE_DATE_EPOCH": str(epoch),
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
    }
    shutil.rmtree(source / "build", ignore_errors=True)
    command = [sys.executable, "-m", "build", "--quiet", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, umask=0o022)
    (archive,) = out.glob("*.tar.gz")
    archive.write_bytes(normalized(archive.read_bytes(), epoch))


def built_from_archive(out: Path, folder: Path, epoch: int) -> Path:
    """Build once more, from the unpacked source archive."""
    (archive,) = out.glob("*.tar.gz")
    mask = os.umask(0o002)
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(folder / "source", filter="data")
        (source,) = (folder / "source").iterdir()
        (source / "setup.cfg").unlink()  # written into every source archive
        for path in source.rglob("*"):
            os.utime(path)
        build(source, folder / "out", epoch)
    finally:
        os.umask(mask)
    return folder / "out"


def normalized(content: bytes, epoch: int) -> bytes:
    """Return a ``.tar.gz`` without what depends on the machine: order, owners, modes and times."""
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(content)) as old,
        gzip.GzipFile("", "wb", mtime=epoch, fileobj=packed) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda m: m.name):
            runs = member.isdir() or member.mode & 0o100
            plain = tarfile.TarInfo(member.name)
            plain.type, plain.size, plain.mtime = member.type, member.size, epoch
            plain.mode = 0o755 if runs else 0o644
            new.addfile(plain, old.extractfile(member) if member.isfile() else None)
    return packed.getvalue()


def digests_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a folder, by name."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
