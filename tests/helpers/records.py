"""Looking at the records of a source."""

from __future__ import annotations

from shard_tools.sources.records import Records


def by_key(records: Records) -> dict[str, str]:
    """Key -> landmark id."""
    ids = records.classes["landmark_id"].to_pylist()
    keys = records.photos["key"].to_pylist()
    return {key: ids[label] for key, label in zip(keys, records.labels, strict=True)}


def unused(records: Records) -> set[tuple[str, str]]:
    """(key, reason) of what is not used."""
    rows = records.rejected.to_pylist()
    assert all(isinstance(value, str) for row in rows for value in row.values())
    return {(row["key"], row["reason"]) for row in rows}
