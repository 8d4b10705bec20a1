"""Which classes go into a store, and which label each gets."""

from __future__ import annotations

import difflib
import shlex
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shard_tools.build.options import BuildOptions
from shard_tools.build.plan import select_classes
from shard_tools.columns import comma_text, one_array, pc
from shard_tools.errors import StoreError
from shard_tools.sources import Records
from shard_tools.store import Store
from shard_tools.store.layout import CLASSES, MANIFEST

_SHOWN = 3
"""Classes named in a message."""


def subset(records: Records, options: BuildOptions) -> Records:
    """The records of the classes that the options select, with new labels.

    Raises:
        StoreError: nothing is left, or a class that is named is not there.
    """
    count = len(records.classes)
    kept = np.ones(count, bool)
    if options.only_classes:
        kept = named(records.classes, options.only_classes, "--classes-file")
    if options.exclude_classes:
        kept &= ~named(records.classes, options.exclude_classes, "--exclude-classes")
    if not kept.any():
        raise StoreError("--exclude-classes leaves no class; name fewer")
    chosen = records
    if not kept.all():
        chosen = records.take(np.flatnonzero(kept[records.labels]))
    left = select_classes(chosen.labels, count, options.top_classes, options.min_images)
    chosen = _relabelled(chosen, left)
    return chosen if options.classes_of is None else labelled_as(chosen, options.classes_of)


def _relabelled(records: Records, kept: np.ndarray) -> Records:
    """The records of some classes, whose labels become 0, 1, ... in the same order."""
    if len(kept) == len(records.classes):
        return records
    labels = np.full(len(records.classes), -1, np.int32)
    labels[kept] = np.arange(len(kept))
    chosen = records.take(np.flatnonzero(labels[records.labels] >= 0))
    classes = records.classes.take(pa.array(kept))
    return replace(chosen, labels=labels[chosen.labels], classes=classes)


def named(classes: pa.Table, names: Sequence[str], flag: str) -> np.ndarray:
    """Which classes have one of some landmark ids or names. Shape (classes,), bool.

    Raises:
        StoreError: a name that no class has.
    """
    ids, titles = classes["landmark_id"].to_pylist(), classes["name"].to_pylist()
    names = [unicodedata.normalize("NFC", name) for name in names]
    known = {name for name in (*ids, *titles) if name}
    unknown = [name for name in names if name not in known]
    if unknown:
        halves = sorted(name for name in known if name.startswith(f"{unknown[0]},"))
        close = halves[:1] or difflib.get_close_matches(unknown[0], known, n=1)
        more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
        hint = "; glr-shard stats lists them"
        if close:
            # On a command line a name with a comma has quotes inside, or it is taken for two.
            text = comma_text(close)
            plain = text == close[0] or flag == "--classes-file"
            hint = f"; did you mean {repr(close[0]) if plain else shlex.quote(text)}?"
        raise StoreError(f"{flag}: there is no class {unknown[0]!r}{more}{hint}")
    wanted = set(names)
    return np.array([i in wanted or t in wanted for i, t in zip(ids, titles, strict=True)], bool)


def read_class_file(file: Path) -> tuple[str, ...]:
    """Landmark ids or names of classes, one a line.

    Raises:
        StoreError: no such file, or nothing in it.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise StoreError(f"--classes-file {file}: {reason}") from None
    names = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise StoreError(f"--classes-file {file}: is empty; give a class a line")
    return names


def labelled_as(records: Records, place: Path) -> Records:
    """The records with the labels of a store or a trained run, by landmark id.

    All classes of the store or run keep their labels, also those without a photo here. Classes that
    it does not know follow, in their order; ``notes["known_classes"]`` says where they begin.

    Raises:
        StoreError: no classes there, or none of the source's among them.
    """
    known = _classes_of(place)
    ids = records.classes["landmark_id"]
    spelled = pc.utf8_normalize(one_array(known["landmark_id"]), form="NFC")
    at = pc.index_in(ids, value_set=spelled)
    unknown = np.flatnonzero(pc.is_null(at).to_numpy())
    if len(unknown) == len(ids):
        raise StoreError(
            f"--classes-of {place}: knows none of the {len(ids):,} classes of these photos: it has "
            f"{', '.join(known['landmark_id'][:_SHOWN].to_pylist())}, they are "
            f"{', '.join(ids[:_SHOWN].to_pylist())}; landmark ids must be spelled alike"
        )
    labels = pc.fill_null(at, -1).to_numpy().astype(np.int32)
    labels[unknown] = len(known) + np.arange(len(unknown))
    classes = pa.concat_tables([known, records.classes.take(pa.array(unknown))])
    strange = np.isin(records.labels, unknown)
    notes = {
        "classes_of": place.name,
        "known_classes": len(known),
        "photos_of_unknown_classes": int(strange.sum()),
    }
    return replace(
        records, labels=labels[records.labels], classes=classes, notes={**records.notes, **notes}
    )


def _classes_of(place: Path) -> pa.Table:
    """Columns ``landmark_id`` and ``name`` of a store, a run or an export, in label order.

    Of a store that was itself labelled as another, only the classes that the other knows.
    """
    if (place / MANIFEST).is_file():
        store = Store.open(place)
        return store.classes().select(["landmark_id", "name"]).slice(0, store.known_classes)
    checkpoints = sorted(place.glob(f"checkpoints/*/{CLASSES}"))
    for file in (place / CLASSES, place / "best" / CLASSES, *checkpoints[-1:]):
        if file.is_file():
            try:
                return pq.read_table(file, columns=["landmark_id", "name"])
            except (OSError, pa.ArrowException) as error:
                raise StoreError(f"--classes-of {file}: cannot be read ({error})") from None
    raise StoreError(
        f"--classes-of {place}: neither a store ({MANIFEST}) nor a trained run (best/{CLASSES}) is "
        "there; check the path"
    )
