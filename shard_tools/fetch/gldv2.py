"""Downloads Google Landmarks v2 over HTTP: label files, tars, and their checksums.

A file is written as ``<name>.part``, resumed where it was cut off, checked against the published
MD5 sum, and only then renamed. A file that has its final name is therefore complete, and a second
run continues where the first one stopped.
"""

from __future__ import annotations

import errno
import hashlib
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from shard_tools.errors import StoreError
from shard_tools.fetch.download import Downloader, claimed, get_text, part_of
from shard_tools.fetch.http import GoneError, shown
from shard_tools.sources.labels import CLEAN, TRAIN

BASE_URL = "https://s3.amazonaws.com/google-landmark"
SHARDS = 500
"""Tars of the training set."""
METADATA = (TRAIN, CLEAN, "train_label_to_category.csv")
_WRONG_MD5 = 3
"""How often a file is downloaded before a wrong checksum is reported."""


@dataclass(frozen=True)
class FetchOptions:
    """What to download, and how patiently."""

    dest: Path
    """Folder for the files, created if missing. A build takes it as ``--source``."""
    shards: tuple[int, ...] = ()
    """Numbers of the tars to download."""
    base_url: str = BASE_URL
    jobs: int = 4
    """Files to download at a time."""
    retries: int = 8
    """How many failures in a row, without a byte in between, are survived."""
    backoff_s: float = 1.0
    """Seconds before the second try, doubled for each further one up to 60."""
    check: bool = True
    """Whether to compare tars with the published MD5 sums."""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise StoreError(f"--jobs is {self.jobs}; it must be 1 or more")
        if self.retries < 0:
            raise StoreError(f"--retries is {self.retries}; it must be 0 or more")
        try:
            usable = re.match("https?://", self.base_url) and urlsplit(self.base_url).hostname
        except ValueError:
            usable = False
        if not usable:
            raise StoreError(
                f"--base-url {shown(self.base_url)}: give one that begins with https://"
            )


@dataclass(frozen=True)
class RemoteFile:
    """One file to download."""

    name: str
    """Its name in the folder."""
    url: str
    md5_url: str | None
    """URL of the file with its checksum; None if none is published."""


def parse_shards(text: str) -> tuple[int, ...]:
    """Parse numbers such as ``0-9,12``; ``all`` means ``0-499``.

    Raises:
        StoreError: not numbers from 0 to 499.
    """
    found: set[int] = set()
    for part in (f"0-{SHARDS - 1}" if text == "all" else text).split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high or high >= SHARDS:
            raise StoreError(
                f"--shards {text!r}: {part.strip()!r} is not a number or range from 0 to "
                f"{SHARDS - 1}; give, for example, 0-9,12 or all"
            )
        found.update(range(low, high + 1))
    return tuple(sorted(found))


def files_to_fetch(options: FetchOptions) -> list[RemoteFile]:
    """The files to download: label files first, then the tars."""
    base = options.base_url.rstrip("/")
    files = [RemoteFile(name, f"{base}/metadata/{name}", None) for name in METADATA]
    for number in options.shards:
        name = f"images_{number:03d}"
        md5 = f"{base}/md5sum/train/md5.{name}.txt" if options.check else None
        files.append(RemoteFile(f"{name}.tar", f"{base}/train/{name}.tar", md5))
    return files


def fetch(options: FetchOptions, progress: bool | None = None) -> str:
    """Download the files that are not there yet.

    Args:
        options: what to download.
        progress: whether to show a progress bar; None shows it if stderr is a terminal.

    Returns:
        A line that says what was done.

    Raises:
        StoreError: some files could not be downloaded; the others are there.
    """
    files = files_to_fetch(options)
    try:
        options.dest.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"--dest {options.dest}: {error.strerror or error}") from None
    hidden = None if progress is None else not progress  # None: hidden unless on a terminal
    stop, lock, failures = threading.Event(), threading.Lock(), list[StoreError]()
    bar = tqdm(total=0, unit="B", unit_scale=True, disable=hidden, desc="fetch")

    def advance(received: int, total: int) -> None:
        with lock:
            bar.total += total
            bar.update(received)

    def say(text: str) -> None:
        tqdm.write(text, file=sys.stderr)

    def one(file: RemoteFile) -> bool:
        downloader = Downloader(options.retries, options.backoff_s, stop, advance, say)
        try:
            return _fetch_one(file, options, downloader)
        except StoreError as error:
            failures.append(error)
            return False

    with bar, ThreadPoolExecutor(options.jobs) as pool:
        try:
            new = sum(pool.map(one, files))
        except BaseException:  # Ctrl-C: running downloads stop and keep what they have
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    if failures:
        others = len(failures) - 1
        more = f" (and {others} more file{'s' if others > 1 else ''})" if others else ""
        raise StoreError(f"{failures[0]}{more}")
    return f"{len(files)} files in {options.dest}: {new} fetched, {len(files) - new} already there"


def _fetch_one(file: RemoteFile, options: FetchOptions, downloader: Downloader) -> bool:
    """Download one file unless it is there; return whether it had to be downloaded.

    Raises:
        StoreError: it could not be downloaded.
    """
    path = options.dest / file.name
    try:
        if path.exists():
            downloader.check_length(file.url, path)
            return False
        wanted = _published_md5(file, downloader) if file.md5_url else None
        with claimed(path) as part:
            if path.exists():  # another fetch has just finished it
                return False
            for _ in range(_WRONG_MD5):
                downloader.download(file.url, path, part)
                found = md5_file(part_of(path)) if wanted else None
                downloader.forget(path)
                if found == wanted:
                    if file.name in METADATA:
                        _check_label_file(part_of(path), file)
                    part_of(path).replace(path)
                    return True
                part.truncate(0)
                part.seek(0)
    except GoneError as error:
        raise StoreError(
            f"{error}; check --base-url ({shown(options.base_url)}) and --shards, or "
            "--no-check for a "
            "mirror without MD5 files"
        ) from None
    except OSError as error:
        raise StoreError(_explain(error, path)) from None
    raise StoreError(
        f"{shown(file.url)}: downloaded {_WRONG_MD5} times, and its MD5 sum was never the "
        "published "
        f"{wanted}; the server or a proxy is at fault: try again later, or give another --base-url"
    )


def _check_label_file(part: Path, file: RemoteFile) -> None:
    """See whether a label file is one: a proxy may have sent a page of its own instead.

    Raises:
        StoreError: it is not; what has arrived is removed.
    """
    with part.open("rb") as opened:
        head = opened.readline(4096).decode("utf-8", "replace")
    if "landmark_id" not in [name.strip('" \r\n') for name in head.split(",")]:
        part.unlink()
        raise StoreError(
            f"{shown(file.url)}: is no label file (it begins with {head[:40].strip()!r}); the "
            "server "
            "or a proxy is at fault: check --base-url"
        )


def _explain(error: OSError, path: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{path}: the disk is full; what has arrived is kept: free some space, then run the "
            "same command again to continue"
        )
    return f"{path}: {error}; run the same command again to continue where it stopped"


def _published_md5(file: RemoteFile, downloader: Downloader) -> str:
    assert file.md5_url is not None
    text = get_text(file.md5_url, downloader)
    found = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    if found is None:
        raise StoreError(
            f"{shown(file.md5_url)}: no MD5 sum in it; check --base-url, or give --no-check"
        )
    return found[0].lower()


def md5_file(path: Path) -> str:
    """MD5 sum of a file, in hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
