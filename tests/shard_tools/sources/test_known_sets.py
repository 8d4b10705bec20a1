"""Trees of data sets that people download: what each is taken for, or why it is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shard_tools.errors import StoreError
from shard_tools.sources import Records, SourceOptions, read_source
from shard_tools.sources.look import doubts
from shard_tools.store import SPLITS
from tests.helpers.trees import numbered, tree

SYNSETS = ("n01440764", "n01443537")
FLOWERS = ("daisy", "rose", "tulip")


def under(folders: tuple[str, ...], classes: tuple[str, ...], photos: int = 3) -> list[str]:
    return numbered(*(f"{folder}/{name}" for folder in folders for name in classes), photos=photos)


def reading(records: Records) -> dict[str, tuple[str, str]]:
    """Path -> class and split ("" where the source says none)."""
    ids = records.classes["landmark_id"].to_pylist()
    paths = records.photos["path"].to_pylist()
    given = [-1] * len(paths) if records.given is None else records.given.tolist()
    return {
        path: (ids[label], SPLITS[place] if place >= 0 else "")
        for path, label, place in zip(paths, records.labels.tolist(), given, strict=True)
    }


def part(depth: int, splits: dict[str, str] | None = None) -> Callable[[str], tuple[str, str]]:
    """Class at a depth of the path, and the split of the outermost folder called like one."""

    def read(path: str) -> tuple[str, str]:
        parts = path.split("/")
        split = next((s for p, s in (splits or {}).items() if p in parts[:-1]), "")
        return parts[depth], split

    return read


TVT = {"train": "train", "val": "val", "test": "test"}
#: name: files, of which photos are used by their suffix; class and split of each.
UNDERSTOOD: dict[str, tuple[list[str], Callable[[str], tuple[str, str]]]] = {
    "ImageNet with its devkit": (
        [*under(("train", "val"), SYNSETS), "ILSVRC2012_devkit_t12/readme.txt", "meta.bin"],
        part(1, TVT),
    ),
    "ultralytics": ([*under(("train", "val", "test"), FLOWERS), "train.cache"], part(1, TVT)),
    "Keras": (under(("train", "validation"), ("cat", "dog")), part(1, TVT | {"validation": "val"})),
    "Places365 standard": (
        [*under(("train", "val"), ("train_interior", "alley", "arch")), "train.txt", "val.txt"],
        part(1, TVT),
    ),
    "Food-101": ([*under(("images",), ("apple_pie", "baklava")), "meta/train.txt"], part(1)),
    "Stanford Dogs": (
        [*under(("Images",), ("n1-Chihuahua", "n2-Spaniel")), "Annotation/n1-Chihuahua/n1_1.txt"],
        part(1),
    ),
    "Caltech-101": (
        under(("101_ObjectCategories",), ("accordion", "BACKGROUND_Google")),
        part(1),
    ),
    "CUB-200": (
        [
            *under(("CUB_200_2011/images",), ("001.Albatross", "002.Auklet")),
            *(f"CUB_200_2011/{name}.txt" for name in ("images", "train_test_split")),
        ],
        part(2),
    ),
    "iNaturalist": (
        [*under(("train_mini", "val"), ("00000_Animalia", "00001_Plantae")), "val.json"],
        part(1, {"train_mini": "train", "val": "val"}),
    ),
    "iNaturalist with its test": (
        [*under(("train_mini", "val"), ("00000_A", "00001_P")), *numbered("public_test")],
        part(1, {"train_mini": "train", "val": "val"}),
    ),
    "a folder repeated in a folder": (
        under(("training_set/training_set", "test_set/test_set"), ("cats", "dogs")),
        part(2, {"training_set": "train", "test_set": "test"}),
    ),
    "chest X-rays": (
        under(tuple(f"chest_xray/{name}" for name in TVT), ("NORMAL", "PNEUMONIA")),
        part(2, TVT),
    ),
    "ImageNet of Kaggle": (
        [
            *under(("ILSVRC/Data/CLS-LOC/train",), SYNSETS),
            *numbered("ILSVRC/Data/CLS-LOC/val", "ILSVRC/Data/CLS-LOC/test", photos=2),
        ],
        part(4, TVT),
    ),
    "a test folder without classes": (
        [*under(("train",), ("cat", "dog"), 6), *numbered("test")],
        part(1, TVT),
    ),
    "a class called test among thirty": (
        numbered("test", *(f"thing{n:02d}" for n in range(30)), photos=2),
        part(0),
    ),
    "a class called train below splits": (
        under(("train", "val"), ("train", "car", "bus")),
        lambda path: (path.split("/")[1], TVT[path.split("/")[0]]),
    ),
    "evaluation photos only": (under(("val", "test"), ("cat", "dog")), part(1, TVT)),
    "class folders of one photo": (numbered("a", "b", "c", photos=1), part(0)),
    "names with blanks and marks": (
        numbered("Château d'If", "東京 タワー", "with, comma", 'a "b"'),
        part(0),
    ),
}


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_understood(name: str, tmp_path: Path) -> None:
    files, wanted = UNDERSTOOD[name]
    tree(tmp_path, files, b"x")
    records = read_source(tmp_path)
    skipped = set(records.rejected["path"].to_pylist())
    photos = {path for path in files if path.endswith(".jpg")} - skipped
    assert skipped <= {
        p for p in files if "-LOC/" in p or "/test/" in p or p.count("/") < 2 or p.endswith("txt")
    }
    assert reading(records) == {path: wanted(path) for path in photos}
    assert doubts(tmp_path, records) == []


def csv(*rows: str) -> str:
    return "\n".join(rows) + "\n"


#: name: files, texts of tables, and what the refusal says.
REFUSED: dict[str, tuple[list[str], dict[str, str], str]] = {
    "groceries with icons beside": (
        [*under(("train", "val"), ("Fruit/Apple", "Veg/Leek")), "iconic/Fruit/Apple/icon.jpg"],
        {},
        "train, val look like splits, but iconic beside them do not",
    ),
    "groceries as cloned": (
        [*under(("dataset/train", "dataset/test"), ("Fruit/Apple", "Veg/Leek")), "samples/1.jpg"],
        {},
        "look like splits, but they are in the middle of .*, in dataset; give --source {}/dataset$",
    ),
    "splits in the middle": (
        [*under(("Fruit/train", "Veg/test"), ("Apple", "Leek"))],
        {},
        "test, train look like splits, but they are in the middle of the tree; give a table",
    ),
    "dated phone folders": (
        numbered("2021/05", "2021/06", "2022/05"),
        {},
        "share a name: 05; .*--classes .*path",
    ),
    "office and home": (
        under(("Art", "Real World"), ("Clock", "Bag")),
        {},
        r"share a name: Bag, Clock; .* such as --source {}/Art$",
    ),
    "Intel's scenes": (
        [*under(("seg_train/seg_train", "seg_test/seg_test"), ("sea", "street")), "seg_pred/1.jpg"],
        {},
        "seg_test, seg_train look like splits, but seg_pred beside them do not",
    ),
    "dog breeds": (
        numbered("train", "test"),
        {"labels.csv": csv("id,breed", "1,pug", "2,beagle"), "sample_submission.csv": csv("id,p")},
        "no class folders in them; give --source {}/labels.csv --columns label=breed$",
    ),
    "train.csv with labels and test.csv without": (
        numbered("train", "test"),
        {"train.csv": csv("image_id,label", "1,a", "2,b"), "test.csv": csv("image_id", "3")},
        "no class folders in them; give --source {}/train.csv$",
    ),
    "photos in no folder": (
        [f"{n}.jpg" for n in range(4)],
        {},
        "4 photos lie in it, in no class folders; put each into the folder of its class",
    ),
    "photos in no folder, and a table": (
        [f"{n}.jpg" for n in range(4)],
        {"my labels.csv": csv("filename,label", "1.jpg,a", "2.jpg,b")},
        "4 photos lie in it, in no class folders; give --source '{}/my labels.csv'$",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    files, tables, message = REFUSED[name]
    tree(tmp_path, files, b"x")
    for file, text in tables.items():
        (tmp_path / file).write_text(text)
    with pytest.raises(StoreError, match=message.replace("{}", str(tmp_path))) as caught:
        read_source(tmp_path)
    assert "\n" not in str(caught.value)


#: name: files, texts of tables, and the doubt.
DOUBTED: dict[str, tuple[list[str], dict[str, str], str]] = {
    "cats and dogs": (numbered("train", "test1"), {}, "all classes are called like splits"),
    "cars": (numbered("cars_train", "cars_test"), {}, "all classes are called like splits"),
    "an unlabelled val beside nested classes": (
        numbered("data_large/a/airfield", "data_large/b/bar", "val_256"),
        {},
        "val_256 among the classes look like splits; .* --exclude-classes val_256$",
    ),
    "val and test as classes beside train": (
        numbered("x/train/cat", "x/train/dog", "y/val", "y/test"),
        {},
        "test, val among the classes look like splits; .*--exclude-classes test,val$",
    ),
    "Keras's test folder": (
        [*under(("train",), ("cat", "dog")), *numbered("test/unknown")],
        {},
        "none of the classes of test has a photo in train: unknown; .*--exclude-classes unknown$",
    ),
    "Oxford flowers": (numbered("jpg"), {}, "one class only, 'jpg'; .* columns path and label"),
    "most photos outside of class folders": (
        [*numbered("a", "b", photos=1), *(f"{n}.jpg" for n in range(5))],
        {},
        "most photos have no label: 5 are not in a class folder, 2 are",
    ),
    "odd columns": (
        numbered("images"),
        {"train.csv": csv("img,kind,x", "0.jpg,1,2", "3.jpg,1,2")},
        "one class only.* {}/train.csv --columns path=img,label=COLUMN .it has img",
    ),
}


@pytest.mark.parametrize("name", DOUBTED)
def test_doubted(name: str, tmp_path: Path) -> None:
    files, tables, message = DOUBTED[name]
    tree(tmp_path, files, b"x")
    for file, text in tables.items():
        (tmp_path / file).write_text(text)
    found = doubts(tmp_path, read_source(tmp_path))
    with pytest.raises(AssertionError, match=message.replace("{}", str(tmp_path))):
        raise AssertionError(found[0])


def test_names_that_might_be_classes_can_be_kept_apart(tmp_path: Path) -> None:
    tree(tmp_path, numbered("train_engines/steam", "test_tubes/glass", "cars/steam"))
    with pytest.raises(StoreError, match="if they are classes, give --classes path"):
        read_source(tmp_path)
    records = read_source(tmp_path, SourceOptions(classes="path"))
    assert len(records.classes) == 3
    assert records.given is None


def test_most_photos_of_a_table_are_missing(tmp_path: Path) -> None:
    tree(tmp_path, ["0.jpg"])
    (tmp_path / "t.csv").write_text(csv("path,label", *(f"{n}.jpg,a{n % 2}" for n in range(8))))
    assert (
        "of a sample 12% are in" in doubts(tmp_path / "t.csv", read_source(tmp_path / "t.csv"))[0]
    )
