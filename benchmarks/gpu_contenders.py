"""Who decodes on the GPU: our loader by its settings, the bare decoder, stock DALI, webdataset."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from benchmarks.gpu_race import Contender
from benchmarks.peers import Job
from benchmarks.samples import Target
from glr_fast.data import LoaderOptions, open_loader
from glr_fast.data.plan import Plan, Samples
from glr_fast.data.shard_reader import ShardReader
from glr_fast.loader_options import BackendName, DecoderOptions
from shard_tools.store import Store


@dataclass(frozen=True)
class Work:
    """What everyone is asked to do."""

    store: Store
    batch: int = 256
    side: int = 224
    """Of the square images, in pixels."""
    threads: int = 8
    device: str = "cuda"
    """``cpu`` shows that everything runs."""

    @property
    def gpu(self) -> bool:
        """Whether there is one."""
        return self.device != "cpu"

    @property
    def samples(self) -> Samples:
        """The photos: the train split."""
        return Samples.of_split(self.store, "train")


@dataclass(frozen=True)
class Setting:
    """How our loader is set up; None takes its own default."""

    threads: int | None = None
    backend: BackendName = "dali"
    decoder: DecoderOptions = field(default_factory=DecoderOptions)


BASE = "ours, defaults"
BARE = "bare nvImageCodec, whole photos"
BARE_CROP = "bare nvImageCodec, crops only"
STOCK = "stock DALI, image_random_crop"
STOCK_FULL = "stock DALI, whole photos, random_resized_crop"
WEBDATASET = "webdataset + DataLoader (PIL)"


def settings() -> dict[str, Setting]:
    """Our loader with one setting changed at a time."""

    def tuned(**changes: Any) -> Setting:
        return Setting(decoder=DecoderOptions(**changes))

    found = {BASE: Setting()}
    for load in (0.0, 0.3, 0.9, 0.99):
        found[f"ours, hw_load {load:g}"] = tuned(hw_load=load)
    found["ours, preallocate"] = tuned(preallocate=True)
    found["ours, no fancy upsampling"] = tuned(fancy_upsampling=False)
    for depth in (1, 4):
        found[f"ours, queue {depth}"] = tuned(queue_depth=depth)
    for threads in (2, 4, 8, 16):
        found[f"ours, {threads} threads"] = Setting(threads=threads)
    found["ours, backend cpu"] = Setting(backend="cpu")  # all cores
    return found


def contenders(work: Work, most_settings: int | None = None) -> dict[str, Contender]:
    """Everyone by name; ``most_settings`` leaves out some of ours."""
    found = {
        BARE: Contender(lambda: bare_decode(work, region=False)),
        f"{BARE}, without its engines": Contender(
            lambda: bare_decode(work, region=False, engines=False)
        ),
        BARE_CROP: Contender(lambda: bare_decode(work, region=True)),
        f"{BARE_CROP}, without its engines": Contender(
            lambda: bare_decode(work, region=True, engines=False)
        ),
        STOCK: Contender(lambda: stock_dali(work, whole=False)),
        STOCK_FULL: Contender(lambda: stock_dali(work, whole=True)),
        # Two batches ahead in each worker, and one in hand.
        WEBDATASET: Contender(lambda: webdataset(work), ahead=3 * work.threads),
    }
    for name, setting in list(settings().items())[:most_settings]:
        found[name] = Contender(lambda setting=setting: loader(work, setting))
    return found


def targets(names: list[str]) -> tuple[Target, ...]:
    """What is to be reached by the contenders of these names."""
    ours = tuple(name for name in names if name.startswith("ours"))
    stock = (STOCK, STOCK_FULL)
    return (
        Target("our defaults / best stock DALI", (BASE,), stock, 1.0),
        Target("our fastest / best stock DALI", ours, stock, 1.0),
        Target("our fastest / bare decode of whole photos", ours, (BARE,), 0.85),
        Target("our fastest / webdataset + DataLoader", ours, (WEBDATASET,), 3.0),
    )


def loader(work: Work, setting: Setting) -> Generator[int]:
    """Our loader."""
    options = LoaderOptions(
        batch_size=work.batch,
        image_size=work.side,
        threads=setting.threads,
        backend=setting.backend,
        decoder=setting.decoder,
    )
    with open_loader(work.store, "train", options, device=work.device) as opened:
        for batch in opened.stream():
            yield len(batch.rows)


def bare_decode(work: Work, region: bool, engines: bool = True) -> Generator[int]:
    """nvImageCodec alone on the same bytes.

    Args:
        work: the photos, and how many at a time.
        region: decode the crops only.
        engines: use the JPEG engines where there are any.
    """
    from nvidia import nvimgcodec as codec

    kinds: Any = codec  # a compiled module without type stubs
    plan, source = Plan(work.samples, work.batch), ShardReader(work.store, "train")
    decoder = codec_decoder(work.threads, not work.gpu, engines)
    for step in count():
        photos = plan.batch(step)
        streams = [kinds.CodeStream(encoded) for encoded in source.encoded(photos.rows)]
        if region:
            streams = [
                s.get_sub_code_stream(region=kinds.Region(t, left, t + h, left + w))
                for s, (t, left, h, w) in zip(streams, photos.edits.boxes.tolist(), strict=True)
            ]
        yield sum(image is not None for image in decoder.decode(streams))


def codec_decoder(threads: int, on_cpu: bool, engines: bool) -> Any:
    """A decoder of nvImageCodec on the CPU, on the GPU, or on the GPU without its engines."""
    from nvidia import nvimgcodec as codec

    kinds: Any = codec
    if on_cpu:
        device, names = kinds.NVIMGCODEC_DEVICE_CPU_ONLY, ["CPU_ONLY"]
    else:
        device = kinds.NVIMGCODEC_DEVICE_CURRENT
        names = ["HW_GPU_ONLY"] * engines + ["GPU_ONLY", "HYBRID_CPU_GPU", "CPU_ONLY"]
    backends = [kinds.Backend(getattr(kinds, name)) for name in names]
    return kinds.Decoder(device_id=device, max_num_cpu_threads=threads, backends=backends)


def stock_dali(work: Work, whole: bool) -> Generator[int]:
    """DALI as its documentation has it: its own WebDataset reader, and its own random crop.

    Args:
        work: what is asked for.
        whole: decode all of a photo, then crop; else decode the crop only.
    """
    from nvidia.dali import fn
    from nvidia.dali.pipeline import Pipeline

    from benchmarks.peers import dali_stock

    job = _job(work)
    pipeline = Pipeline(
        batch_size=work.batch, num_threads=work.threads, device_id=0 if work.gpu else None
    )
    where = "mixed" if work.gpu else "cpu"
    area: dict[str, Any] = {"random_area": list(job.scale), "random_aspect_ratio": list(job.ratio)}
    size: Any = (work.side, work.side)
    with pipeline:
        read = cast("list[Any]", dali_stock.read(job))[0]
        if whole:
            photos: Any = fn.decoders.image(read, device=where)
            images: Any = fn.random_resized_crop(photos, size=size, **area)
        else:
            crops: Any = fn.decoders.image_random_crop(read, device=where, **area)
            images = fn.resize(crops, size=size)
        pipeline.set_outputs(cast("Any", fn.flip(images, horizontal=fn.random.coin_flip())))
    yield from _counts(pipeline)


def planned_dali(work: Work, load: float, whole: bool) -> Generator[int]:
    """A DALI pipeline over our plan that decodes all of a photo, or only its crop.

    Args:
        work: what is asked for.
        load: share of the photos for the JPEG engines.
        whole: decode all of a photo, then cut the crop on the device.
    """
    from nvidia.dali import fn, types
    from nvidia.dali.pipeline import Pipeline

    plan, source = Plan(work.samples, work.batch), ShardReader(work.store, "train")
    steps, held = count(), []

    def inputs() -> tuple[Any, ...]:
        batch = plan.batch(next(steps))
        start, shape = (np.ascontiguousarray(part) for part in np.split(batch.edits.boxes, 2, 1))
        held.append((source.encoded(batch.rows), start, shape))
        del held[:-8]  # DALI reads them where they are
        return held[-1]

    where = "mixed" if work.gpu else "cpu"
    how: dict[str, Any] = {"hw_decoder_load": load} if work.gpu else {}
    kinds = [types.DALIDataType.UINT8, *[types.DALIDataType.INT32] * 2]
    pipeline = Pipeline(
        batch_size=work.batch, num_threads=work.threads, device_id=0 if work.gpu else None
    )
    with pipeline:
        given: Any = fn.external_source(
            source=inputs, num_outputs=3, batch=True, no_copy=True, ndim=[1, 1, 1], dtype=kinds
        )
        encoded, start, shape = given
        if whole:
            images: Any = fn.decoders.image(encoded, device=where, **how)
            images = fn.slice(images, start=start, shape=shape, axis_names="HW")
        else:
            images = fn.decoders.image_slice(
                encoded, start=start, shape=shape, axis_names="HW", device=where, **how
            )
        pipeline.set_outputs(cast("Any", fn.resize(images, size=(work.side, work.side))))
    yield from _counts(pipeline)


def webdataset(work: Work) -> Generator[int]:
    """What one would write with webdataset, up to the device."""
    from benchmarks.peers import webdataset_pil

    # Small batches: each worker makes whole ones, and few photos make few of 256.
    batches = webdataset_pil.batches(replace(_job(work), batch_size=min(work.batch, 64)))
    with closing(cast("Generator[torch.Tensor]", batches)):
        for images in batches:
            yield len(images.to(work.device, non_blocking=True))


def _job(work: Work) -> Job:
    folder = Path(str(work.store.path))
    return Job(folder, folder, batch_size=work.batch, image_size=work.side, workers=work.threads)


def _counts(pipeline: Any) -> Generator[int]:
    pipeline.build()
    while True:
        (images,) = pipeline.run()
        yield len(images)
