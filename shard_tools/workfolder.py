"""The work folder inside a store that is being built: what an interrupted build goes on from.

``STORE/.building/plan.json`` says which plan the shards belong to, and ``<shard>.parquet`` beside
it holds what became of each shard that is whole. The folder goes when the manifest is written.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq

from shard_tools.format import MANIFEST, ShardInfo, StoreError, atomic_open, write_text
from shard_tools.plan import ShardPlan
from shard_tools.writer import ROWS_SCHEMA, PackResult, Reject

WORK = ".building"
_PLAN = "plan.json"
_META = b"glr"


def check_out(out: Path) -> None:
    """Check that a store may be built in ``out``, before any work is done.

    Raises:
        StoreError: it holds a finished store or something else, or is no folder.
    """
    if out.exists() and not out.is_dir():
        raise StoreError(f"--out {out}: is a file; give a folder")
    if (out / MANIFEST).exists():
        raise StoreError(
            f"--out {out}: already holds a finished store; give another folder, or remove that one"
        )
    if not (out / WORK).exists() and out.exists() and any(out.iterdir()):
        raise StoreError(f"--out {out}: is not empty and no store; give a new or empty folder")


class WorkFolder:
    """An open work folder; only one build has it open at a time."""

    def __init__(self, out: Path, plan: str) -> None:
        """Open the work folder of a store, or make it.

        Args:
            out: the store.
            plan: digest of everything that decides the shards.

        Raises:
            StoreError: it belongs to another plan, or another build is at work there.
        """
        self._out, self._path = out, out / WORK
        self._path.mkdir(parents=True, exist_ok=True)
        self._lock = open(self._path / "lock", "w")  # noqa: SIM115 (held until close)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._check_plan(plan)
        except BlockingIOError:
            self.close()
            raise StoreError(f"--out {out}: another glr-shard build is at work there") from None
        except BaseException:
            self.close()
            raise
        for folder in (out, self._path):
            for left in folder.glob(".*.tmp"):  # of a build that was killed
                left.unlink()

    def _check_plan(self, plan: str) -> None:
        file = self._path / _PLAN
        if not file.exists():
            write_text(file, json.dumps({"plan": plan}) + "\n")
        elif json.loads(file.read_text()).get("plan") != plan:
            raise StoreError(
                f"--out {self._out}: holds an unfinished build of another source or other options; "
                "repeat those to finish it, or remove the folder"
            )

    def finished(self, shards: Iterable[ShardPlan]) -> dict[str, PackResult]:
        """What became of the shards that are whole, by name."""
        results = {shard.name: self._load(shard.name) for shard in shards}
        return {name: result for name, result in results.items() if result is not None}

    def record(self, result: PackResult) -> None:
        """Note that a shard is whole."""
        extra = {"info": asdict(result.info), "rejected": [asdict(r) for r in result.rejected]}
        table = result.rows.replace_schema_metadata({_META: json.dumps(extra)})
        with atomic_open(self._file(result.info.name)) as file:
            pq.write_table(table, file)

    def remove(self) -> None:
        """Close the work folder and remove it: the store is finished."""
        shutil.rmtree(self._path, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let another build have it."""
        self._lock.close()

    def _file(self, shard: str) -> Path:
        return self._path / f"{shard.removesuffix('.tar')}.parquet"

    def _load(self, shard: str) -> PackResult | None:
        file = self._file(shard)
        if not file.exists():
            return None
        table = pq.read_table(file)
        extra = json.loads((table.schema.metadata or {})[_META])
        info = ShardInfo(**extra["info"])
        tar, index = self._out / info.name, self._out / info.index_name
        if not index.exists() or not tar.exists() or tar.stat().st_size != info.bytes:
            return None
        rows = table.replace_schema_metadata(None).cast(ROWS_SCHEMA)
        return PackResult(info, rows, tuple(Reject(**reject) for reject in extra["rejected"]))


def drop_empty(out: Path, results: list[PackResult]) -> list[PackResult]:
    """Results without the shards in which no photo is left; their files are removed.

    DALI refuses an index of no photos.
    """
    for result in results:
        if not result.info.samples:
            (out / result.info.name).unlink(missing_ok=True)
            (out / result.info.index_name).unlink(missing_ok=True)
    return [result for result in results if result.info.samples]
