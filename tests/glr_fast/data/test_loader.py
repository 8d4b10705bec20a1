"""The loader on real JPEG bytes: same crops on every backend, resume, evaluation, errors."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glr_fast.data import Rank, Store, StoreError, normalise
from glr_fast.data.watchdog import Watchdog
from glr_fast.loader_options import BackendName
from shard_tools.sampling.index_files import IndexOptions, write_index
from tests.helpers.loaders import FAST, batches, opened

#: Against the reference, in levels of 255: mean, and the share of pixels within 8 levels.
TOLERANCE = {"dali": (0.3, 0.999), "cpu": (1.0, 0.98)}


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("split", ["train", "test"])
def test_pixels_agree_with_the_reference(store: Path, backend: BackendName, split: str) -> None:
    _compare(store, backend, split, image_size=64)


@pytest.mark.parametrize("backend", FAST)
def test_pixels_agree_on_real_photos(shared: Path, tmp_path: Path, backend: BackendName) -> None:
    from shard_tools.build.builder import build_store
    from shard_tools.build.options import BuildOptions

    build_store(BuildOptions(source=shared / "data" / "landmarks13", out=tmp_path / "s"), workers=2)
    _compare(tmp_path / "s", backend, "test", image_size=224)
    _compare(tmp_path / "s", backend, "train", image_size=224, batch_size=185)


def _compare(
    store: Path, backend: BackendName, split: str, stretch: float = 1, **options: object
) -> None:
    mean, within = TOLERANCE[backend]
    pairs = zip(
        batches(store, backend, split, **options),
        batches(store, "reference", split, **options),
        strict=True,
    )
    for ours, exact in pairs:
        np.testing.assert_array_equal(ours.rows, exact.rows)
        assert torch.equal(ours.labels, exact.labels)
        assert ours.images.shape == exact.images.shape
        difference = (ours.images.int() - exact.images.int()).abs().float()
        assert difference.mean() < mean * stretch
        assert (difference <= 8).float().mean() > within


@pytest.mark.parametrize("backend", FAST)
def test_colours_agree_with_the_reference(store: Path, backend: BackendName) -> None:
    strong: dict[str, Any] = {"color": 0.5, "rare": 1.0}
    # Contrast and brightness of up to 2 each stretch a difference, too.
    _compare(store, backend, "train", stretch=2, **strong)
    plain = batches(store, backend)[0].images.float()
    assert (batches(store, backend, **strong)[0].images - plain).abs().mean() > 5


@pytest.mark.parametrize("backend", FAST)
def test_a_batch_is_uint8_channels_last_with_int64_labels(
    store: Path, backend: BackendName
) -> None:
    batch = batches(store, backend)[0]
    assert batch.images.shape == (16, 3, 64, 64)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.labels.dtype == torch.int64
    labels = Store.open(store).samples(["label"])["label"].to_numpy()
    np.testing.assert_array_equal(batch.labels.numpy(), labels[batch.rows])
    assert batch.valid == 16


@pytest.mark.parametrize("backend", FAST)
def test_float_output_is_normalised(store: Path, backend: BackendName) -> None:
    exact = batches(store, backend)[0].images
    batch = batches(store, backend, output="float32")[0].images
    assert batch.dtype == torch.float32
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    torch.testing.assert_close(batch, (exact / 255 - mean) / std, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(batch, normalise(exact))


@pytest.mark.parametrize("backend", FAST)
def test_a_stream_resumes_to_the_bit(store: Path, backend: BackendName) -> None:
    options = {"batch_size": 16, "image_size": 64, "threads": 2, "backend": backend}
    with opened(store, "train", **options) as loader:  # type: ignore[arg-type]
        whole = list(itertools.islice(loader.stream(), 9))
        rest = list(itertools.islice(loader.stream(5), 4))
    for ours, theirs in zip(rest, whole[5:], strict=True):
        np.testing.assert_array_equal(ours.rows, theirs.rows)
        assert torch.equal(ours.images, theirs.images)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("world", [2, 4])
def test_a_stream_resumes_on_another_number_of_processes(
    store: Path, backend: BackendName, world: int
) -> None:
    options = {"batch_size": 16, "image_size": 64, "threads": 1, "backend": backend}
    options |= {"policy": "balanced", "shuffle_window": 2}
    with opened(store, "train", **options) as loader:  # type: ignore[arg-type]
        whole = list(itertools.islice(loader.stream(), 7))[5:]
    parts = []
    for rank in range(world):
        with opened(store, "train", rank=Rank(rank, world), **options) as loader:  # type: ignore[arg-type]
            parts.append(list(itertools.islice(loader.stream(5), 2)))
    for step, batch in enumerate(whole):
        images = torch.cat([part[step].images for part in parts])
        assert torch.equal(images, batch.images)
        rows = np.concatenate([part[step].rows for part in parts])
        np.testing.assert_array_equal(rows, batch.rows)


@pytest.mark.parametrize("backend", FAST)
def test_ranks_see_the_slices_of_one_global_batch(store: Path, backend: BackendName) -> None:
    whole = batches(store, backend)
    parts = [batches(store, backend, rank=Rank(r, 2)) for r in range(2)]
    for all_of, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([first.images, second.images]), all_of.images)
        np.testing.assert_array_equal(np.concatenate([first.rows, second.rows]), all_of.rows)


@pytest.mark.parametrize("backend", FAST)
def test_evaluation_sees_each_photo_once(store: Path, backend: BackendName) -> None:
    rows = Store.open(store).split_rows("test")
    seen: list[int] = []
    for rank in range(3):
        options = {"rank": Rank(rank, 3), "batch_size": 6, "backend": backend, "image_size": 32}
        with opened(store, "test", **options) as loader:  # type: ignore[arg-type]
            list(loader)  # once before: the second epoch must start clean
            seen += [row for batch in loader for row in batch.rows[: batch.valid].tolist()]
    assert sorted(seen) == list(rows)


@pytest.mark.parametrize("backend", FAST)
def test_images_stay_as_they_are_while_the_loader_goes_on(
    store: Path, backend: BackendName
) -> None:
    with opened(store, "train", batch_size=16, image_size=64, backend=backend) as loader:
        stream = loader.stream()
        held = [next(stream) for _ in range(3)]
        copies = [batch.images.clone() for batch in held]
        for _ in range(8):
            next(stream)
        assert all(torch.equal(b.images, c) for b, c in zip(held, copies, strict=True))


@pytest.mark.parametrize("backend", FAST)
def test_a_stream_that_is_dropped_half_way_leaves_nothing(
    store: Path, backend: BackendName
) -> None:
    with opened(store, "train", batch_size=16, image_size=64, backend=backend) as loader:
        streams = [loader.stream(0)]
        for start in (1, 2):
            next(streams[-1])
            streams.append(loader.stream(start))
        batches_of_epoch = list(loader.epoch())  # ends the others, though they are still held
        assert len(batches_of_epoch) == loader.steps_per_epoch
        assert [next(stream, None) for stream in streams] == [None] * 3


@pytest.mark.parametrize("policy", ["balanced", "sqrt", "effective:0.9", "repeat:20:4"])
def test_an_index_by_name_gives_the_epochs_of_its_policy(copy: Path, policy: str) -> None:
    write_index(copy, IndexOptions(policy=policy, epochs=2, seed=7, name="mine"))
    by_name = batches(copy, "reference", index="mine", image_size=16)
    by_policy = batches(copy, "reference", policy=policy, seed=7, image_size=16)
    for ours, theirs in zip(by_name, by_policy, strict=True):
        np.testing.assert_array_equal(ours.rows, theirs.rows)
    with pytest.raises(StoreError, match="no such index; the store has mine"):
        opened(copy, "train", batch_size=8, index="other")


def test_timings_say_what_was_done(store: Path) -> None:
    with opened(store, "train", batch_size=16, image_size=64, backend="cpu") as loader:
        list(loader.epoch())
        numbers = loader.timings
    assert numbers["batches"] == loader.steps_per_epoch
    assert numbers["photos"] == 16 * loader.steps_per_epoch
    assert all(numbers[name] > 0 for name in ("wait_s", "source_s", "decode_s", "resize_s"))


def test_the_watchdog_names_what_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    watchdog = Watchdog(after_s=0.05)
    with watchdog.watching(lambda: "batch 3: fetching train-000007.tar"):
        time.sleep(0.4)
    watchdog.close()
    assert "waiting for batch 3: fetching train-000007.tar" in caplog.text


@pytest.mark.parametrize("backend", FAST)
def test_a_failing_source_surfaces(
    store: Path, monkeypatch: pytest.MonkeyPatch, backend: BackendName
) -> None:
    def fail(*_: object) -> list[np.ndarray]:
        raise OSError("the disk is gone")

    with opened(store, "train", batch_size=16, image_size=64, backend=backend) as loader:
        monkeypatch.setattr(loader._reader, "encoded", fail)
        with pytest.raises(OSError, match="the disk is gone"):
            next(loader.stream())


@pytest.mark.parametrize("backend", FAST)
def test_nothing_is_left_after_close(store: Path, backend: BackendName) -> None:
    def held() -> tuple[int, int, int]:
        gc.collect()
        files = len(list(Path("/proc/self/fd").iterdir()))
        mapped = Path("/proc/self/maps").read_text()
        return files, threading.active_count(), mapped.count("/dev/shm") + mapped.count(".tar")

    def use() -> None:
        with opened(store, "train", batch_size=16, image_size=64, backend=backend) as loader:
            next(loader.stream())

    use()  # what libraries keep for the process is there after the first time
    before = held()
    for _ in range(3):
        use()
    assert held() == before


def test_a_loader_that_nobody_closes_ends_quietly(store: Path) -> None:
    code = (
        "from tests.helpers.loaders import opened\n"
        f"for b in ('dali', 'cpu'):\n"
        f"    stream = opened({str(store)!r}, 'train', batch_size=16, backend=b).stream()\n"
        "    next(stream)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "dev"}, "unknown split 'dev'; the store has train, val, test"),
        ({"batch_size": 10_000}, "larger than the split"),
        ({"policy": "nature"}, "there are natural, balanced"),
    ],
)
def test_what_cannot_be_is_said(store: Path, options: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"split": "train", "batch_size": 8} | options
    with pytest.raises(StoreError, match=message):
        opened(store, **arguments)  # type: ignore[arg-type]
