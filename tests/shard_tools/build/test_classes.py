"""Which classes go into a store, and the labels of a trained run."""

from __future__ import annotations

import shlex
import unicodedata
from pathlib import Path

import pytest

from shard_tools.cli import main
from shard_tools.errors import StoreError
from shard_tools.store import Store
from tests.helpers.commands import error_of
from tests.helpers.photos import built
from tests.helpers.trees import numbered, tree


def test_excluded_and_listed_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree(tmp_path / "p", numbered("cat", "dog", "Not sure", "emu"))
    (tmp_path / "p" / "landmarks.csv").write_text("landmark_id,name\nemu,Emu bird\n")
    store = built(tmp_path / "p", tmp_path / "s", exclude_classes=("Not sure", "Emu bird"))
    assert Store.open(store).classes()["landmark_id"].to_pylist() == ["cat", "dog"]
    (tmp_path / "c.txt").write_text("\ufeffdog\n\nemu\n", encoding="utf-8")
    command = ["build", "--source", str(tmp_path / "p"), "--workers", "1"]
    listed = [*command, "--out", str(tmp_path / "t"), "--classes-file", str(tmp_path / "c.txt")]
    assert main(listed) == 0
    assert Store.open(tmp_path / "t").classes()["landmark_id"].to_pylist() == ["dog", "emu"]
    capsys.readouterr()
    wrong = [*command, "--out", str(tmp_path / "u"), "--exclude-classes", "dogs"]
    assert "there is no class 'dogs'; did you mean 'dog'?" in error_of(wrong, capsys)


def test_a_store_for_evaluation_only(tmp_path: Path) -> None:
    tree(tmp_path / "p", numbered("ant", "bee", "cat"))
    trained = built(tmp_path / "p", tmp_path / "s")
    tree(tmp_path / "q", numbered("cat", "zebra", photos=3))
    how = {"classes_of": trained, "splits": (0.0, 0.0, 1.0)}
    store = Store.open(built(tmp_path / "q", tmp_path / "t", **how))
    assert store.classes()["landmark_id"].to_pylist() == ["ant", "bee", "cat", "zebra"]
    assert store.class_counts("test").tolist() == [0, 0, 3, 3]
    assert (store.manifest.counts["train"], store.manifest.counts["test"]) == (0, 6)
    assert store.manifest.notes["photos_of_unknown_classes"] == 3
    assert store.manifest.notes["known_classes"] == 3
    with pytest.raises(StoreError, match=r"^--splits 0,0,1 leave nothing to train on"):
        built(tmp_path / "q", tmp_path / "u", splits=(0.0, 0.0, 1.0))
    with pytest.raises(StoreError, match=r"neither a store .* nor a trained run"):
        built(tmp_path / "q", tmp_path / "u", classes_of=tmp_path)


def test_labels_of_a_run_or_of_a_store_for_evaluation(tmp_path: Path) -> None:
    tree(tmp_path / "p", numbered("ant", "bee"))
    trained = built(tmp_path / "p", tmp_path / "s")
    tree(tmp_path / "q", numbered("bee", "zebra", photos=2))
    run = tmp_path / "run" / "checkpoints" / "step-00000010"
    run.mkdir(parents=True)
    (run / "classes.parquet").write_bytes((trained / "classes.parquet").read_bytes())
    how: dict = {"splits": (0.0, 0.0, 1.0)}
    first = built(tmp_path / "q", tmp_path / "a", classes_of=tmp_path / "run", **how)
    assert Store.open(first).known_classes == 2
    tree(tmp_path / "r", numbered("zebra", "bee", "yak", photos=2))
    second = Store.open(built(tmp_path / "r", tmp_path / "b", classes_of=first, **how))
    assert second.classes()["landmark_id"].to_pylist() == ["ant", "bee", "yak", "zebra"]
    assert second.known_classes == 2
    assert Store.open(trained).known_classes == 2
    tree(tmp_path / "u", numbered("yak", "gnu", photos=2))
    with pytest.raises(StoreError, match=r"knows none of the 2 classes .*: it has ant, bee, they"):
        built(tmp_path / "u", tmp_path / "c", classes_of=trained, **how)


def test_what_is_known_is_said_before_packing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree(tmp_path / "p", numbered("ant", "bee"))
    trained = built(tmp_path / "p", tmp_path / "s")
    tree(tmp_path / "q", numbered("bee", "zebra", photos=2))
    command = ["build", "--source", str(tmp_path / "q"), "--out", str(tmp_path / "e"), "--dry-run"]
    assert main([*command, "--classes-of", str(trained), "--splits", "0,0,1"]) == 0
    printed = capsys.readouterr().out
    assert "photos    4 of 2 classes: bee (2), zebra (2)\n" in printed
    assert "unknown   2 photos of 1 class that s does not know: zebra\n" in printed
    tree(tmp_path / "one", numbered("bee", photos=2))
    command[2] = str(tmp_path / "one")
    command.remove("--dry-run")
    assert main([*command, "--classes-of", str(trained), "--splits", "0,0,1"]) == 0
    assert "leave nothing to train on" in error_of([*command, "--splits", "0,0,1"], capsys)


def test_splits_without_train_are_for_evaluation(tmp_path: Path) -> None:
    tree(tmp_path / "p", numbered("ant", "bee"))
    trained = built(tmp_path / "p", tmp_path / "s")
    tree(tmp_path / "q", numbered("val/ant", "val/bee", "test/bee", photos=2))
    with pytest.raises(StoreError, match=r"nothing to train on; --splits .* --classes-of RUN"):
        built(tmp_path / "q", tmp_path / "t")
    counts = Store.open(built(tmp_path / "q", tmp_path / "t", classes_of=trained)).manifest.counts
    assert (counts["train"], counts["val"], counts["test"]) == (0, 4, 2)


def test_classes_with_commas_and_in_other_spellings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree(tmp_path / "p", numbered("a, b", "Château", "dog", "emu"))
    command = ["build", "--source", str(tmp_path / "p"), "--out", str(tmp_path / "s"), "--dry-run"]
    left_out = unicodedata.normalize("NFD", '"a, b",Château')
    assert main([*command, "--exclude-classes", left_out]) == 0
    assert "8 of 2 classes: dog (4), emu (4)" in capsys.readouterr().out
    every = [*command, "--exclude-classes", '"a, b",Château,dog,emu']
    assert "leaves no class" in error_of(every, capsys)
    tree(tmp_path / "q", numbered("Alhambra, Granada", "dog"))
    command = ["build", "--source", str(tmp_path / "q"), "--out", str(tmp_path / "s"), "--dry-run"]
    taken_apart = error_of([*command, "--exclude-classes", "Alhambra, Granada"], capsys)
    advice = taken_apart.partition("did you mean ")[2].rpartition("?")[0]
    assert advice == """'"Alhambra, Granada"'"""
    assert main([*command, "--exclude-classes", *shlex.split(advice)]) == 0
    tree(tmp_path / "r", numbered("Paris, Texas", "Parisian", "Rome"))
    command = ["build", "--source", str(tmp_path / "r"), "--out", str(tmp_path / "s"), "--dry-run"]
    unlike = error_of([*command, "--exclude-classes", "Paris, Texas"], capsys)
    assert """did you mean '"Paris, Texas"'?""" in unlike
    assert main(command) == 0
    assert '3 folders: "Paris, Texas", Parisian, Rome' in capsys.readouterr().out


def test_advice_to_leave_out_classes_works_when_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree(tmp_path / "p", numbered("train/cat", "train/dog", "test/not, known"))
    command = ["build", "--source", str(tmp_path / "p"), "--out", str(tmp_path / "s")]
    advice = error_of(command, capsys).partition("leave them out with ")[2].partition(";")[0]
    assert main([*command, "--workers", "1", *shlex.split(advice)]) == 0
    assert Store.open(tmp_path / "s").classes()["landmark_id"].to_pylist() == ["cat", "dog"]
