"""The options of a prediction (``glr-predict``, ``launch/predict.py``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import tyro

from glr_fast.errors import ConfigError, require
from glr_fast.loader_options import BACKENDS
from glr_fast.run_folders import RUNS

Check = Literal["full", "header"]
LinkKind = Literal["hard", "symbolic"]
MOST_ROWS = 20
"""Photos whose answers fit a terminal."""

PredictPrecision = Literal["no", "bf16", "fp16"]

OUT_SUFFIXES = (".csv", ".jsonl", ".parquet")
#: The share of right answers that the threshold is chosen for when the user names none.
DEFAULT_PRECISION = 0.95


@dataclass(frozen=True)
class PredictOptions:
    """How photos are recognised, and what becomes of the answers."""

    out: Path | None = None
    """File for the answers, by its suffix: .csv, .jsonl or .parquet. Photos that cannot be read go
    to a second file beside it, such as answers.csv.rejected.csv."""
    all: bool = False
    """Write the probability of every label too (beyond 1,000 labels to .parquet only)."""
    top: int = 5
    """Answers for each photo, the most probable first."""
    threshold: float | None = None
    """Answers below this probability are marked unsure; None takes the one that reaches
    --precision-target on the validation photos."""
    precision_target: float | None = None
    """Share of right answers among those not marked unsure, as found on the validation photos by
    glr-evaluate --split val; None takes 0.95 where it is known."""
    gallery: Path | None = None
    """Folder for a page that shows the photos by landmark; index.html opens it."""
    sort_into: Path | None = None
    """Folder in which every landmark gets a folder with copies of its photos. Nothing is
    overwritten, and the same command continues where it was interrupted."""
    link: LinkKind | None = None
    """With --sort-into, links in place of copies. Photos from zips, tars and stores are copied."""
    overwrite: bool = False
    """Replace the files of --out and the gallery of an earlier call."""
    batch_size: int = 64
    """Photos that the network sees at once."""
    threads: int | None = None
    """Threads that read and check photos, and as many that decode; None takes the cores that the
    process may use."""
    backend: str = "auto"
    """Decoder: dali (on a GPU, or DALI's CPU backend), cpu (libjpeg-turbo and OpenCV in threads),
    or auto: dali on a GPU, else cpu."""
    check: Check = "full"
    """full decodes every photo to its end, to find damage; header trusts those whose header and end
    are valid, which is faster."""
    image_size: int | None = None
    """Side of the centre crop, in pixels; None takes the model's."""
    precision: PredictPrecision = "no"
    """Mixed precision, for GPUs: bf16 or fp16."""

    def __post_init__(self) -> None:
        out, size = self.out, self.image_size
        good = out is None or out.suffix.lower() in OUT_SUFFIXES
        require(good, "--out", f"a file that ends in {', '.join(OUT_SUFFIXES)}", out)
        require(self.top >= 1, "--top", "1 or more", self.top)
        for flag, share in (
            ("--threshold", self.threshold),
            ("--precision-target", self.precision_target),
        ):
            require(share is None or 0 <= share <= 1, flag, "from 0 to 1", share)
        if self.threshold is not None and self.precision_target is not None:
            raise ConfigError("--threshold and --precision-target: give one of them")
        if self.all and out is None:
            raise ConfigError("--all writes to a file; give --out FILE.parquet as well")
        if self.link is not None and self.sort_into is None:
            raise ConfigError("--link says how --sort-into puts photos there; give both")
        require(self.batch_size >= 1, "--batch-size", "1 or more", self.batch_size)
        require(self.threads is None or self.threads >= 1, "--threads", "1 or more", self.threads)
        known = ", ".join(BACKENDS)
        require(self.backend in BACKENDS, "--backend", f"one of {known}", self.backend)
        require(size is None or size >= 16, "--image-size", "16 or more", size)
        for flag, name, values in (
            ("--check", self.check, get_args(Check)),
            ("--link", self.link or "hard", get_args(LinkKind)),
            ("--precision", self.precision, get_args(PredictPrecision)),
        ):
            require(name in values, flag, f"one of {', '.join(values)}", name)

    def check_apart(self, photos: Iterable[Path | str]) -> None:
        """Refuse a folder for answers that is also named as a folder of photos.

        Such a folder's photos are passed over, as answers of an earlier call. One inside of the
        other is fine.

        Raises:
            ConfigError: there is one.
        """
        for flag, folder in (("--sort-into", self.sort_into), ("--gallery", self.gallery)):
            if folder is None:
                continue
            for photo in photos:
                if "://" not in str(photo) and Path(photo).resolve() == folder.resolve():
                    raise ConfigError(
                        f"{flag} {folder}: the photos are in it; give another folder, or one "
                        "inside of it"
                    )

    @property
    def rejected_file(self) -> Path | None:
        """Where the list of unreadable photos goes."""
        return None if self.out is None else self.out.with_name(f"{self.out.name}.rejected.csv")


@dataclass(frozen=True)
class PredictCommand(PredictOptions):
    """Recognise the landmarks on photos.

    PHOTOS are files, folders (with all below them), patterns such as 'trip/*.jpg', zips, tars and
    stores; - reads such names from standard input, one a line.
    """

    photos: tyro.conf.Positional[tuple[str, ...]] = ()
    """Photos, and what holds photos."""
    model: Path = RUNS
    """A run folder, its best/, a checkpoint or an export; in a folder of runs, such as runs, the
    newest is taken."""
    checkpoint: str = "best"
    """Of a run folder: best, last, or the name of a folder under checkpoints/."""
