"""Stores in an object store, looked at from afar: verify, show, stats and eda (fsspec's memory)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shard_tools.cli import main
from shard_tools.errors import StoreError
from shard_tools.files.remote import is_remote, location
from shard_tools.sampling.index_files import IndexOptions, write_index
from shard_tools.store.store import Store
from shard_tools.verify.verifier import verify_store
from tests.helpers.photos import add_photo, built, kaggle

pytest.importorskip("upath", reason="universal-pathlib is not installed (extra s3)")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("remote")
    kaggle(root / "source", {"1": 9, "2": 3})
    add_photo(root / "source", "stray", b"")
    store = built(root / "source", root / "store", shard_size=5)
    write_index(store, IndexOptions("balanced", 1, 0, "even"))
    return store


@pytest.fixture
def url(local: Path) -> Iterator[str]:
    url = "memory://bucket/store"
    remote = location(url)
    for file in local.rglob("*"):
        if file.is_file():
            (remote / file.relative_to(local).as_posix()).write_bytes(file.read_bytes())
    yield url
    remote.fs.rm("/bucket", recursive=True)  # type: ignore[attr-defined]


def test_verify(url: str) -> None:
    remote = location(url)
    assert verify_store(remote, decode=True) == []
    tar = remote / "train-000000.tar"
    tar.write_bytes(tar.read_bytes()[:-1])
    (remote / "notes.txt").write_bytes(b"")
    (remote / "val-000000.idx").unlink()
    found = {(problem.where, problem.check) for problem in verify_store(remote)}
    assert found == {
        ("notes.txt", "files"),
        ("train-000000.tar", "files"),
        ("train-000000.tar", "sha256"),
        ("train-000000.tar", "tar"),
        ("val-000000.idx", "files"),
    }


def test_show_stats_and_eda(
    url: str, local: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = Store.open(local).samples()["key"][0].as_py()
    outputs = []
    for store in (url, str(local)):
        photo, page = tmp_path / "p.jpg", tmp_path / "r.html"
        assert main(["show", store, key, "--out", str(photo)]) == 0
        assert main(["stats", store, "--top", "2"]) == 0
        assert main(["eda", store, "--out", str(page)]) == 0
        printed = capsys.readouterr().out.replace(store, "STORE")
        outputs.append((printed, photo.read_bytes(), page.read_text().replace(store, "STORE")))
    assert outputs[0] == outputs[1]


def test_a_url_that_an_option_made_a_path_of(tmp_path: Path) -> None:
    """``--data.store s3://bucket/store`` is a field of type Path."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (extra s3)")
    found = location(Path("s3://bucket/store"))
    assert is_remote(found)
    assert str(found) == "s3://bucket/store"
    for path in (tmp_path, Path("s3"), Path("a/s3:/b"), Path("S3:/b")):
        assert location(path) == path
        assert not is_remote(location(path))


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("show", ["KEY"]),
        ("verify", []),
        ("index", ["--policy", "balanced", "--epochs", "1", "--name", "x"]),
    ],
)
def test_a_server_that_is_down_is_no_store_without_a_manifest(
    command: str, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = "http://127.0.0.1:9/store"  # the port that discards: nobody listens
    assert main([command, url, *more]) == 2
    said = capsys.readouterr().err
    assert "Connect call failed" in said
    assert "check the address" in said
    assert "not a finished store" not in said


def test_a_place_without_a_manifest_is_no_finished_store() -> None:
    with pytest.raises(StoreError, match=r"not a finished store \(no manifest.json\)"):
        Store.open("memory://nothing/here")
