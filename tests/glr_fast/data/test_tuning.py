"""What a user may tune: threads, queue, the GPU decoder; and what is kept from batch to batch."""

from __future__ import annotations

import gc
import mmap
import resource
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch
from nvidia.dali import fn
from nvidia.dali.pipeline import Pipeline

from glr_fast.config import Config, DataConfig, changed_for_resume
from glr_fast.data import LoaderOptions, Store, image_edits, normalisation, opening, shard_reader
from glr_fast.data.backends import dali, jpeg_regions
from glr_fast.data.image_edits import erase
from glr_fast.errors import ConfigError
from glr_fast.evaluate_options import EvaluateOptions
from glr_fast.loader_options import DecoderOptions
from tests.helpers.loaders import opened

CPU, GPU = torch.device("cpu"), torch.device("cuda")
JPEG = cv2.imencode(".jpg", np.full((30, 40, 3), 90, np.uint8))[1].ravel()


def test_threads_are_divided_by_the_processes_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "usable_cores", lambda: 16)
    for said, expected in ((None, 16), ("1", 16), ("8", 2), ("3", 5), ("64", 1), ("x", 16)):
        if said is None:
            monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
        else:
            monkeypatch.setenv("LOCAL_WORLD_SIZE", said)
        assert opening.decoding_threads(LoaderOptions(), CPU) == expected
        assert opening.decoding_threads(LoaderOptions(threads=5), CPU) == 5


def test_dali_on_a_gpu_leaves_cores_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    for cores, expected in ((1, 1), (2, 1), (3, 1), (4, 2), (8, 6), (16, 8), (64, 8)):
        monkeypatch.setattr(opening, "usable_cores", lambda cores=cores: cores)
        assert opening.decoding_threads(LoaderOptions(), GPU) == expected
        assert opening.decoding_threads(LoaderOptions(backend="cpu"), GPU) == cores
        assert opening.decoding_threads(LoaderOptions(threads=9), GPU) == 9


def test_more_batches_are_made_ahead_on_a_gpu() -> None:
    asked = LoaderOptions(decoder=DecoderOptions(queue_depth=3))
    for options, device, expected in (
        (LoaderOptions(), CPU, 2),
        (LoaderOptions(), GPU, 4),
        (asked, CPU, 3),
        (asked, GPU, 3),
    ):
        assert opening.batches_ahead(options, device) == expected


def test_a_loader_starts_as_many_threads(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "usable_cores", lambda: 12)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with opened(store, "train", batch_size=8, backend="cpu") as loader:
        assert loader._backend._threads._max_workers == 3  # type: ignore[attr-defined]


def test_the_decoder_is_told_what_the_user_asks_for() -> None:
    tuned = DecoderOptions(hw_load=0.9, pinned_mib=3, device_mib=5, preallocate=True)
    assert dali.decoder_arguments(tuned, GPU, (640, 480)) == {
        "hw_decoder_load": 0.9,
        "host_memory_padding": 3 * 2**20,
        "device_memory_padding": 5 * 2**20,
        "jpeg_fancy_upsampling": True,
        "preallocate_width_hint": 640,
        "preallocate_height_hint": 480,
    }
    assert "preallocate_width_hint" not in dali.decoder_arguments(tuned, GPU, None)
    plain = replace(tuned, fancy_upsampling=False, preallocate=False)
    told = dali.decoder_arguments(plain, GPU, (640, 480))
    assert told["jpeg_fancy_upsampling"] is False
    assert "preallocate_width_hint" not in told
    assert dali.decoder_arguments(tuned, torch.device("cpu"), (640, 480)) == {}


def test_dali_takes_all_that_it_is_told() -> None:
    """On a GPU these names go to the decoder: DALI must know each of them."""
    known = dali.fn.decoders.image_slice.__doc__ or ""
    told = dali.decoder_arguments(DecoderOptions(preallocate=True), GPU, (640, 480))
    assert all(f"\n{name} : " in known for name in told)


@pytest.mark.parametrize("backend", ["cpu", "dali"])
def test_the_queue_is_as_deep_as_asked_for(store: Path, backend: str) -> None:
    tuned = DecoderOptions(queue_depth=5)
    depths = []
    for decoder in (DecoderOptions(), tuned):
        with opened(store, "train", batch_size=4, backend=backend, decoder=decoder) as loader:
            planned: list[int] = []
            batch = loader.plan.batch
            object.__setattr__(loader.plan, "batch", lambda k: (planned.append(k), batch(k))[1])  # noqa: B023
            next(loader.stream())
            depths.append(max(planned))
    assert depths[1] == depths[0] + 3


def test_evaluation_reserves_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def note(options: LoaderOptions, *rest: Any) -> Any:
        given.append((options.decoder, rest[-1]))
        raise InterruptedError

    monkeypatch.setattr(opening, "open_backend", note)
    tuned = DecoderOptions(queue_depth=4, preallocate=True)
    for split in ("train", "val"):
        with pytest.raises(InterruptedError):
            opened(store, split, batch_size=4, decoder=tuned)
    (train, largest), (val, _) = given
    assert train == tuned
    rows = Store.open(store).split_rows("train")
    table = Store.open(store).samples(["width", "height"]).slice(rows.start, len(rows)).to_pydict()
    assert largest == (max(table["width"]), max(table["height"]))
    assert (val.pinned_mib, val.device_mib, val.preallocate, val.queue_depth) == (0, 0, False, 4)


def test_loader_run_and_evaluation_share_the_options() -> None:
    tuned = DecoderOptions(hw_load=0.9)
    assert LoaderOptions.reading_as(EvaluateOptions(decoder=tuned)).decoder == tuned
    config = Config(data=DataConfig(decoder=tuned))
    assert Config.from_json(config.to_json(), "x") == config
    assert changed_for_resume(Config(), config) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"queue_depth": 0}, "--data.decoder.queue-depth"),
        ({"hw_load": 1.5}, "--data.decoder.hw-load"),
        ({"pinned_mib": -1}, "--data.decoder.pinned-mib"),
        ({"device_mib": -1}, "--data.decoder.device-mib"),
    ],
)
def test_wrong_options_are_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DataConfig(decoder=DecoderOptions(**changes))


def test_constants_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU each new one would stop the host until the device has caught up."""
    images = torch.zeros((2, 8, 8, 3), dtype=torch.uint8)
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 0, 0]], np.float32)

    def once() -> None:
        normalisation.normalise(images.permute(0, 3, 1, 2))
        assert (erase(images, boxes)[0, :4, :4] > 0).all()

    once()

    def forbidden(*_: Any, **__: Any) -> torch.Tensor:
        raise AssertionError

    monkeypatch.setattr(normalisation.torch, "tensor", forbidden)
    monkeypatch.setattr(image_edits.torch, "tensor", forbidden)
    once()


def test_headers_are_parsed_once(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = 0
    parse = jpeg_regions.photo_size

    def counted(encoded: np.ndarray) -> tuple[int, int]:
        nonlocal parsed
        parsed += 1
        return parse(encoded)

    monkeypatch.setattr(jpeg_regions, "photo_size", counted)
    with opened(store, "train", batch_size=8, image_size=32, backend="dali") as loader:
        for epoch in range(6):
            list(loader.epoch(epoch))
        assert parsed == len(loader.plan.samples)


def test_a_header_is_known_as_far_as_it_was_seen() -> None:
    headers = jpeg_regions.KnownHeaders()
    rows, inside = np.array([7, 2]), np.array([[0, 0, 30, 40], [10, 20, 20, 20]])
    assert headers.unknown(rows, inside) == [0, 1]
    assert headers.read(7, JPEG, inside[0])
    assert not headers.read(2, JPEG[:20], inside[1])
    assert headers.unknown(rows, inside) == [1]
    assert headers.unknown(rows, inside + np.array([0, 1, 0, 0])) == [0, 1]
    assert headers.unknown(np.array([100, 7]), inside) == [0]  # grows
    assert headers.unknown(np.array([], int), np.empty((0, 4), int)) == []


def test_decoding_a_region_keeps_no_memory() -> None:
    """np.asarray on nvImageCodec's images keeps 32 bytes each time: 36 MB an epoch of GLDv2."""
    decoder, box = jpeg_regions.make_decoder(), np.array([1, 2, 8, 9])

    def grown(count: int) -> int:
        before = _resident()
        for _ in range(count):
            jpeg_regions.decode_region(decoder, JPEG, box)
        return _resident() - before

    grown(2_000)
    assert grown(16_000) < 16_000 * 16  # half of the leak


def test_a_decoded_region_outlives_its_decoder() -> None:
    region = jpeg_regions.decode_region(jpeg_regions.make_decoder(), JPEG, np.array([1, 2, 8, 9]))
    gc.collect()
    assert region is not None
    assert region.shape == (8, 9, 3)
    assert (np.abs(region.astype(int) - 90) < 3).all()


def _resident() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * mmap.PAGESIZE


def test_what_lay_ready_is_told_where_it_is_known(store: Path) -> None:
    for backend in ("cpu", "dali"):
        with opened(store, "train", batch_size=8, image_size=32, backend=backend) as loader:
            list(loader.epoch())
            assert ("ready" in loader.timings) == (backend == "cpu")


def test_the_flip_for_gpus_gives_the_same_bytes() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (9, 12, 3), np.uint8) for _ in range(4)]
    flips = [np.int32(flip) for flip in (0, 1, 1, 0)]
    pipeline = Pipeline(batch_size=4, num_threads=1, device_id=None)
    with pipeline:
        given = fn.external_source(lambda: (images, flips), num_outputs=2, layout=["HWC", ""])
        pipeline.set_outputs(*(dali.flipped(*given, at_once=how) for how in (False, True)))
    pipeline.build()
    one_by_one, at_once = (np.stack([*cast("Any", out)]) for out in pipeline.run())
    expected = [
        image[:, ::-1] if flip else image for image, flip in zip(images, flips, strict=True)
    ]
    np.testing.assert_array_equal(one_by_one, expected)
    np.testing.assert_array_equal(at_once, expected)


def test_a_failure_for_want_of_memory_is_no_damaged_photo() -> None:
    operator = "Error in MIXED operator `nvidia.dali.fn.decoders.image_slice` encountered: "
    assert dali._is_of_a_photo(operator + "Failed to decode sample 3")
    assert not dali._is_of_a_photo(operator + "CUDA runtime API error cudaErrorMemoryAllocation")
    assert not dali._is_of_a_photo(operator + "Cannot allocate memory")
    assert not dali._is_of_a_photo("Error in CPU operator `resize`")


@pytest.mark.parametrize("backend", ["cpu", "dali"])
def test_a_loader_that_nobody_holds_is_freed(store: Path, backend: str) -> None:
    loader = opened(store, "train", batch_size=4, backend=backend)
    next(loader.stream())
    held = weakref.ref(loader)
    del loader
    gc.collect()
    assert held() is None


def test_a_store_of_many_shards_needs_no_ulimit(store: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (260, hard))
    try:
        shard_reader._allow_open_files(500)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(1256, hard), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
