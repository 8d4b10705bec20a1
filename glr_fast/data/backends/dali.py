"""The DALI backend: decodes the crop, resizes and flips it, on the GPU or on DALI's CPU backend.

The pipeline draws no random number: encoded photos, boxes and flips are inputs.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterator
from typing import Any, cast

import cv2
import numpy as np
import torch
from nvidia.dali import fn
from nvidia.dali.data_node import DataNode
from nvidia.dali.pipeline import Pipeline
from nvidia.dali.types import DALIDataType, DALIImageType, DALIInterpType

from glr_fast.data.backends.base import Supply
from glr_fast.data.backends.cpu import CpuBackend
from glr_fast.data.backends.jpeg_regions import KnownHeaders, can_be_read
from glr_fast.data.plan import BatchPlan
from glr_fast.loader_options import DecoderOptions

logger = logging.getLogger(__name__)

_GREY_SIZE = 8, 8
#: Shown where nothing can stand in for a bad photo: a JPEG of one grey, 128 to the bit.
_GREY = cv2.imencode(".jpg", np.full((*_GREY_SIZE, 3), 128, np.uint8))[1]


class DaliBackend:
    """Turns batch plans into images with DALI.

    Args:
        supply: encoded photos, and what replaces bad ones.
        batch_size: most photos of a batch.
        image_size: side of the square images, pixels.
        device: ``cpu`` or a CUDA device.
        threads: CPU threads that decode.
        colors: whether the plans change colours.
        tuning: of queue and decoder; None takes the defaults.
        largest: width and height that no photo exceeds, in pixels, for ``tuning.preallocate``.
    """

    def __init__(
        self,
        supply: Supply,
        batch_size: int,
        image_size: int,
        device: torch.device,
        threads: int,
        colors: bool = False,
        tuning: DecoderOptions | None = None,
        largest: tuple[int, int] | None = None,
    ) -> None:
        tuning = tuning or DecoderOptions()
        self._reader, self._bad_photos, self._timings = (
            supply.reader,
            supply.bad_photos,
            supply.timings,
        )
        # Decodes the batches that DALI loses: one bad photo ends the run of its whole batch.
        self._rescue = CpuBackend(supply, batch_size, image_size, threads=1, queue_depth=0)
        self._device = device
        self._headers = KnownHeaders()
        self._plans: Iterator[BatchPlan] = iter(())
        # With what DALI was given: it reads the photos where they are, so they must stay.
        self._ahead: deque[tuple[BatchPlan, Any]] = deque()
        pipeline = Pipeline(
            batch_size=batch_size,
            num_threads=threads,
            device_id=_cuda_index(device),
            prefetch_queue_depth=tuning.queue_depth or 2,
            exec_dynamic=True,
        )
        with pipeline:
            how = decoder_arguments(tuning, device, largest)
            images = _define(self._next_inputs, image_size, device, colors, how)
            pipeline.set_outputs(images)
        pipeline.build()
        self._pipeline: Pipeline | None = pipeline

    def decode(self, plans: Iterator[BatchPlan]) -> Generator[tuple[BatchPlan, torch.Tensor]]:
        """Decode batch after batch, some ahead of what is taken.

        Yields:
            Each plan with its images: (batch, size, size, 3) uint8 on the device.
        """
        assert self._pipeline is not None, "closed"
        self._plans = plans
        try:
            while True:
                try:
                    (images,) = self._pipeline.run(self._stream())
                except StopIteration:
                    return
                except RuntimeError as error:
                    yield self._rescued(error)
                    continue
                plan, _ = self._ahead.popleft()
                yield plan, torch.from_dlpack(images.as_tensor())
        finally:
            self._drain()

    def close(self) -> None:
        """Free the pipeline."""
        self._rescue.close()
        self._pipeline = None

    def _rescued(self, error: RuntimeError) -> tuple[BatchPlan, torch.Tensor]:
        """The batch that DALI has just failed on, decoded photo by photo.

        DALI continues with the next batch (tried out with 2.4's default executor). Any other
        error than a failure to decode is raised again.
        """
        if not self._ahead or not _is_of_a_photo(str(error)):
            raise error
        plan, _ = self._ahead.popleft()
        logger.warning("batch %d: DALI failed, decoding photo by photo: %s", plan.step, error)
        ((plan, images),) = self._rescue.decode(iter([plan]))
        self._headers = KnownHeaders()  # good ones, but not all of the photos behind them
        return plan, images.to(self._device)

    def _drain(self) -> None:
        """Take what is still being worked on, so that the next ``decode`` starts clean."""
        self._plans = iter(())
        if self._pipeline is None:
            return
        while self._ahead:
            try:
                self._pipeline.run(self._stream())
            except StopIteration:
                break
            except RuntimeError:
                logger.debug("a batch that nobody waits for has failed")
            self._ahead.popleft()
        self._ahead.clear()
        self._pipeline.reset()

    def _stream(self) -> Any:
        """The CUDA stream that the images must be ready on: torch's own, so that nothing waits."""
        return torch.cuda.current_stream(self._device) if self._device.type == "cuda" else None

    def _next_inputs(self) -> tuple[list[np.ndarray] | np.ndarray, ...]:
        """What DALI asks for when it starts on a batch; StopIteration ends the epoch."""
        plan = next(self._plans)
        with self._timings.span("source_s"):
            encoded, boxes = self._reader.encoded(plan.rows), plan.edits.boxes.copy()
            rows = plan.rows.tolist()
            # Bad photos are never among the known.
            for index in self._headers.unknown(plan.rows, boxes):
                if self._bad_photos.is_bad(rows[index]) or not self._headers.read(
                    rows[index], encoded[index], boxes[index]
                ):
                    encoded[index], boxes[index] = self._stand_in(plan, index)
        start, shape = (np.ascontiguousarray(part) for part in np.split(boxes, 2, axis=1))
        inputs = encoded, start, shape, plan.edits.flips.astype(np.int32)
        if plan.edits.colors is not None:
            inputs = *inputs, *np.ascontiguousarray(plan.edits.colors.T)
        self._ahead.append((plan, inputs))
        return inputs

    def _stand_in(self, plan: BatchPlan, index: int) -> tuple[np.ndarray, np.ndarray]:
        """What DALI is shown instead of a bad photo, which it must not see; and its box.

        Where DALI (2.4.0) cannot parse a header, its decoder throws while its threads still work on
        other photos of the batch and use what was on its stack, which can kill the process.
        """

        def attempt(row: int, box: np.ndarray) -> np.ndarray | None:
            encoded = self._reader.encoded(np.array([row]))[0]
            return encoded if can_be_read(encoded, box) else None

        encoded = self._bad_photos.stand_in(plan, index, attempt)
        if encoded is None:
            return _GREY, np.array([0, 0, *_GREY_SIZE], plan.edits.boxes.dtype)
        return encoded, plan.edits.boxes[index]


def _is_of_a_photo(error: str) -> bool:
    """Whether DALI has failed to decode, which is a photo's fault, rather than for want of memory.

    Its messages name the operator, ``decoders.image_slice``, whatever went wrong in it.
    """
    text = error.lower()
    return "decod" in text and not any(word in text for word in ("memory", "cuda", "driver"))


def decoder_arguments(
    tuning: DecoderOptions, device: torch.device, largest: tuple[int, int] | None
) -> dict[str, Any]:
    """What ``fn.decoders.image_slice`` is told about speed, memory and chroma.

    Args:
        tuning: what the user asks for.
        device: where the images go; DALI's CPU decoder takes none of this.
        largest: width and height that no photo exceeds, in pixels; None where that is not known.
    """
    if device.type != "cuda":
        return {}
    told: dict[str, Any] = {
        "hw_decoder_load": tuning.hw_load,
        "host_memory_padding": tuning.pinned_mib * 2**20,
        "device_memory_padding": tuning.device_mib * 2**20,
        "jpeg_fancy_upsampling": tuning.fancy_upsampling,
    }
    if tuning.preallocate and largest is not None:
        told["preallocate_width_hint"], told["preallocate_height_hint"] = largest
    return told


def _cuda_index(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    return torch.cuda.current_device() if device.index is None else device.index


def _define(
    inputs: Any,
    image_size: int,
    device: torch.device,
    colors: bool,
    decoder_options: dict[str, Any],
) -> DataNode:
    """The one pipeline definition: CPU and GPU differ in the ``device`` of the decoder."""
    kinds = [DALIDataType.UINT8, *[DALIDataType.INT32] * 3, *[DALIDataType.FLOAT] * (4 * colors)]
    encoded, start, shape, flip, *color = cast(
        "list[DataNode]",
        fn.external_source(
            source=inputs,
            num_outputs=len(kinds),
            batch=True,
            no_copy=True,
            ndim=[1, 1, 1, *[0] * (len(kinds) - 3)],
            dtype=kinds,
        ),
    )
    images = fn.decoders.image_slice(
        encoded,
        start=start,
        shape=shape,
        axis_names="HW",
        device="mixed" if device.type == "cuda" else "cpu",
        output_type=DALIImageType.RGB,
        # The store's photos are upright; an orientation tag must not turn them again.
        adjust_orientation=False,
        **decoder_options,
    )
    images = fn.resize(
        images,
        size=(image_size, image_size),
        interp_type=DALIInterpType.INTERP_LINEAR,
        antialias=True,
    )
    images = flipped(cast("DataNode", images), flip, at_once=device.type == "cuda")
    if color:
        names = ("brightness", "contrast", "saturation", "hue")
        twisted = fn.color_twist(images, **dict(zip(names, color, strict=True)))
        images = cast("DataNode", twisted)
    return cast("DataNode", images)


def flipped(images: DataNode, flip: DataNode, at_once: bool) -> DataNode:
    """Some of the uint8 images mirrored, to the bit.

    Args:
        images: (height, width, 3) each, uint8.
        flip: whether, 0 or 1 each.
        at_once: by one kernel for the batch. ``fn.flip`` launches one for each photo on a GPU, and
            each waits there for the model's; on a CPU it is the faster.
    """
    if not at_once:
        return cast("DataNode", fn.flip(images, horizontal=flip))
    mirrored = fn.crop_mirror_normalize(
        images, mirror=flip, dtype=DALIDataType.UINT8, output_layout="HWC"
    )
    return cast("DataNode", mirrored)
