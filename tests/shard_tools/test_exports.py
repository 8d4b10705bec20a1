"""What each package of shard_tools is for: the names that it exports, and no others."""

from __future__ import annotations

import importlib

import pytest

FACES = {
    "build": "BuildInterruptedError BuildOptions Summary build_store preview",
    "cli": "main",
    "demo_photos": "long_tail write_album write_kaggle_dataset",
    "duplicates": "DUPLICATE_MODES deduplicated",
    "fetch": "FetchOptions fetch parse_shards",
    "files": "atomic_open is_remote location sha256_file write_text",
    "pages": "NARROWEST Chart counted figure hatched log_ticks plain round_numbers whole_ticks",
    "photos": "CHECKS FORMATS MAX_PIXELS Photo PhotoOptions prepare read_header",
    "report": "collect write_report",
    "sampling": "POLICIES IndexOptions Stream epoch_order parse_policy policy_at stream_key "
    "windowed write_index",
    "sources": "LAYOUTS Layout PhotoReader Records SourceOptions Unlabelled detect_layout files_of "
    "is_container list_photos read_source",
    "store": "SPLITS EpochIndex Manifest ShardInfo Store read_photo",
    "verify": "Problem verify_store",
    "workers": "EXECUTORS Executor run_tasks",
}


@pytest.mark.parametrize("package", FACES)
def test_a_package_exports_what_it_is_for(package: str) -> None:
    module = importlib.import_module(f"shard_tools.{package}")
    assert sorted(module.__all__) == sorted(FACES[package].split())
    assert all(hasattr(module, name) for name in module.__all__)
    assert module.__doc__
