"""The options of a loader: the same dataclass for ``open_loader``, the configuration and the flags.

A new option is a field here and its use in ``glr_fast.data``; ``--data.NAME`` follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

from glr_fast.errors import require

BackendName = Literal["auto", "dali", "cpu"]
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)


@dataclass(frozen=True)
class DecoderOptions:
    """How the decoder is tuned. All but ``queue_depth`` is for the GPU; docs/gpu.md says what to
    try. ``fancy_upsampling`` changes pixels by a few levels, the rest changes speed and memory."""

    queue_depth: int | None = None
    """Batches that are worked on ahead of the one handed out; None takes 2, on a GPU 4."""
    hw_load: float = 0.65
    """Share of the photos that the GPU's JPEG engines decode, where it has any; 0 uses none."""
    preallocate: bool = False
    """Reserve the JPEG engines' memory for the largest photo of the split at the start."""
    pinned_mib: int = 8
    """Page-locked host memory that the GPU decoder reserves, in MiB, twice for each thread; it
    grows when a photo needs more. Evaluation reserves none."""
    device_mib: int = 16
    """GPU memory that the decoder reserves, in MiB, for each thread; as pinned_mib."""
    fancy_upsampling: bool = True
    """Interpolate chroma on the GPU as libjpeg-turbo does on the CPU, so that a model sees the same
    pixels on both."""

    def check(self, prefix: str) -> None:
        """Check the fields; ``prefix`` is that of their flags, such as ``data.decoder.``."""
        depth = self.queue_depth
        require(depth is None or depth >= 1, f"--{prefix}queue-depth", "1 or more", depth)
        require(0 <= self.hw_load <= 1, f"--{prefix}hw-load", "from 0 to 1", self.hw_load)
        require(self.pinned_mib >= 0, f"--{prefix}pinned-mib", "0 or more", self.pinned_mib)
        require(self.device_mib >= 0, f"--{prefix}device-mib", "0 or more", self.device_mib)


@dataclass(frozen=True)
class ReadingOptions:
    """How photos are read. Nothing here changes a weight."""

    threads: int | None = None
    """Decoding threads per process; None divides the cores that the process may use by the
    processes that were started on this machine. Where DALI decodes on a GPU it leaves two of them
    free, and takes eight at most."""
    backend: str = "auto"
    """Decoder: dali (on a GPU, or DALI's CPU backend), cpu (libjpeg-turbo and OpenCV in threads),
    or auto: dali on a GPU, else cpu."""
    max_bad_samples: int = 1000
    """Most photos that may turn out damaged before the run is stopped; in training each is replaced
    by one of its class. They are listed in bad_samples.csv."""
    cache: Path | None = None
    """Folder for copies of a remote store's shards; None takes ``~/.cache/glr-fast``."""
    cache_gib: float = 50.0
    """Most that the folder of copies should hold, in GiB."""
    decoder: DecoderOptions = field(default_factory=DecoderOptions)
    """How the decoder is tuned."""

    def check_reading(self, prefix: str) -> None:
        """Check the fields of this class; ``prefix`` is that of their flags, such as ``data.``."""
        threads, most = self.threads, self.max_bad_samples
        require(threads is None or threads >= 1, f"--{prefix}threads", "1 or more", threads)
        known = self.backend in BACKENDS
        require(known, f"--{prefix}backend", f"one of {', '.join(BACKENDS)}", self.backend)
        require(most >= 0, f"--{prefix}max-bad-samples", "0 or more", most)
        require(self.cache_gib > 0, f"--{prefix}cache-gib", "above 0", self.cache_gib)
        self.decoder.check(f"{prefix}decoder.")

    def reading(self) -> dict[str, Any]:
        """The fields of this class by name, for options that share them."""
        return {field.name: getattr(self, field.name) for field in fields(ReadingOptions)}


@dataclass(frozen=True)
class LoaderOptions(ReadingOptions):
    """Which photos a loader draws, and what it does to them."""

    policy: str = "natural"
    """Sampling policy: natural (each photo once an epoch), balanced, sqrt, effective[:BETA],
    repeat[:PHOTOS[:CAP]], or a schedule such as natural,balanced@8."""
    batch_size: int = 64
    """Photos per global batch, over all processes; the processes share it equally."""
    image_size: int = 224
    """Side of the square images, in pixels."""
    crop_scale: float = 0.25
    """Least share of a photo's area that a random training crop covers."""
    flip: float = 0.5
    """Probability of a left-right flip in training."""
    color: float = 0.0
    """Strength of random brightness, contrast, saturation and hue in training; 0 for none."""
    erase: float = 0.0
    """Probability that a random rectangle of a training image is erased (Zhong et al. 2020)."""
    rare: float = 0.0
    """How much stronger crops, flips and colours get as a class gets rarer, from 0 to 1."""
    index: str | None = None
    """An index that ``glr-shard index`` wrote: its epochs replace policy and seed in training."""
    shuffle_window: int = 0
    """Shards that are read and mixed at a time, for a store that is larger than memory or remote;
    0 mixes all photos."""

    def __post_init__(self) -> None:
        self.check_reading(prefix="data.")
        for name in ("flip", "color", "erase", "rare"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"--data.{name}", "from 0 to 1", value)
        scale, window = self.crop_scale, self.shuffle_window
        require(0 < scale <= 1, "--data.crop-scale", "over 0, at most 1", scale)
        require(window >= 0, "--data.shuffle-window", "0 or more", window)
        require(self.batch_size >= 1, "--data.batch-size", "1 or more", self.batch_size)
        require(self.image_size >= 16, "--data.image-size", "16 or more", self.image_size)

    @classmethod
    def reading_as(cls, other: ReadingOptions, **changes: Any) -> Self:
        """Options that read photos as others do, with ``changes`` to the rest."""
        return cls(**other.reading() | changes)
