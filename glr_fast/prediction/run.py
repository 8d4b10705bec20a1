"""From photos to answers, and from answers to a file, a page and folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from tqdm import tqdm

from glr_fast.data import usable_cores
from glr_fast.errors import ConfigError
from glr_fast.predict_options import PredictOptions
from glr_fast.prediction.answers import Answers, answers
from glr_fast.prediction.listing import Listed, Rejected, list_arguments
from glr_fast.prediction.output import check_output, open_writer, write_rejected
from glr_fast.prediction.sort_into import Sorter, check_sort_into
from glr_fast.prediction.table import AnswerTable
from glr_fast.prediction.thresholds import Threshold, choose_threshold
from glr_fast.trained_model import TrainedModel, load_model


@dataclass(frozen=True)
class Outcome:
    """What became of some photos."""

    answers: pa.Table | None
    """One row a photo, in the order in which they were named (:class:`AnswerTable` lists the
    columns); None where they were written to a file instead, or not to be kept."""
    rejected: tuple[Rejected, ...]
    """What could not be read, and why."""
    threshold: Threshold
    """Below which an answer is unsure."""
    photos: int
    """That were recognised."""
    unsure: int
    """Of those."""
    others: int
    """Files that were passed over, since their names are not those of photos."""
    sorted_now: int = 0
    """Photos put into the folders of ``sort_into``."""
    sorted_before: int = 0
    """Photos that an earlier call had put there."""


def predict(
    model: TrainedModel | Path | str,
    photos: Path | str | Iterable[Path | str],
    options: PredictOptions | None = None,
    *,
    progress: bool | None = None,
) -> Outcome:
    """Recognise the landmarks on photos.

        table = predict("runs/a", ["holiday", "more.zip"]).answers
        table.to_pandas()[["path", "name", "probability"]]

    Args:
        model: a loaded one, or where it is: a run folder, its ``best``, a checkpoint, an export.
        photos: files, folders (with all below them), patterns, zips, tars, stores; ``-`` reads such
            names from standard input.
        options: what becomes of the answers; None keeps them in memory.
        progress: show a bar; None shows it where stderr is a terminal.

    Raises:
        ConfigError: no such model, no photo that can be read, or an output that exists.
    """
    options = options or PredictOptions()
    named = [photos] if isinstance(photos, str | Path) else list(photos)
    options.check_apart(named)
    check_places(options)
    loaded = model if isinstance(model, TrainedModel) else load_model(model)
    listed = list_arguments(named, (options.gallery, options.sort_into))
    return predict_listed(loaded, listed, options, progress=progress)


def check_places(options: PredictOptions, classes: int = 0) -> None:
    """Refuse, before any work, an output that exists or cannot be made.

    Raises:
        ConfigError: there is one.
    """
    check_output(options, classes)
    if options.sort_into is not None:
        check_sort_into(options.sort_into)
    if options.gallery is not None:
        try:
            from glr_fast.gallery import check_gallery
        except ImportError as error:
            raise ConfigError(
                f"--gallery needs {error.name}: pip install 'glr-fast[eda]'"
            ) from None

        check_gallery(options.gallery, options.overwrite)
        page = options.gallery.resolve()
        for flag, place in (("--out", options.out), ("--sort-into", options.sort_into)):
            if place is not None and place.resolve().is_relative_to(page):
                raise ConfigError(
                    f"{flag} {place}: lies in --gallery {options.gallery}, which holds a page "
                    "only; give another place"
                )


def predict_listed(
    model: TrainedModel,
    listed: Listed,
    options: PredictOptions,
    *,
    title: str = "Photos by landmark",
    progress: bool | None = None,
    keep: bool = True,
) -> Outcome:
    """As :func:`predict`, of photos that are listed already; ``keep`` no answers in memory."""
    check_places(options, model.card.num_classes)
    threshold = choose_threshold(model, options)
    if not len(listed):
        raise ConfigError(_nothing("no photo there", listed.rejected))
    work = _Work(model, listed, options, threshold, title, keep)
    hidden = None if progress is None else not progress  # None: hidden unless on a terminal
    with (
        ExitStack() as stack,
        tqdm(total=len(listed), desc="predict", unit=" photos", disable=hidden) as bar,
    ):
        work.open(stack)
        found = answers(model, listed, options, threshold.probability, work.reject)
        with closing(found):
            for some in found:
                work.take(some)
                bar.update(int(some.rows[-1]) + 1 - bar.n if len(some.rows) else 0)
        bar.update(len(listed) - bar.n)
        outcome = work.finish()
    if options.rejected_file is not None:
        options.rejected_file.unlink(missing_ok=True)
        if outcome.rejected:
            write_rejected(options.rejected_file, outcome.rejected)
    return outcome


def _nothing(what: str, rejected: Iterable[Rejected]) -> str:
    """That there is no photo, and what was found instead."""
    first = next(iter(rejected), None)
    if first is None:
        return f"{what}; name files, folders, zips, tars or stores"
    detail = f" ({first.detail})" if first.detail else ""
    found = f"{first.path}: {first.reason}{detail}"
    return found if first.reason == what else f"{what}; {found}"


class _Work:
    """Everything that takes answers, and the sums over them."""

    def __init__(
        self,
        model: TrainedModel,
        listed: Listed,
        options: PredictOptions,
        threshold: Threshold,
        title: str,
        keep: bool,
    ) -> None:
        self._model, self._listed, self._options = model, listed, options
        self._threshold, self._title = threshold, title
        self._rejected = list(listed.rejected)
        self._photos = self._unsure = 0
        self._table = AnswerTable(model, options.top, options.all)
        self._kept: list[pa.Table] | None = [] if keep and options.out is None else None
        self._writing = ExitStack()
        self._sorter: Sorter | None = None
        self._takers: list[Callable[[Answers], None]] = []
        self._enders: list[Callable[[], object]] = []

    def reject(self, rejected: Rejected) -> None:
        """Take note of a photo that cannot be read."""
        self._rejected.append(rejected)

    def open(self, stack: ExitStack) -> None:
        """Open what the options ask for; the stack closes it."""
        options, model = self._options, self._model
        kept = self._kept
        if kept is not None:
            self._takers.append(lambda some: kept.append(self._table.of(some)))
        if options.out is not None:
            stack.enter_context(self._writing)
            writer = self._writing.enter_context(open_writer(options.out, self._table))
            self._takers.append(lambda some: writer.write(self._table.of(some)))
        if options.sort_into is not None:
            names = model.names, model.landmark_ids
            self._sorter = Sorter(
                options.sort_into, self._listed, *names, options.link, model.title
            )
            stack.callback(self._sorter.close)
            self._takers.append(self._sorter.add)
        if options.gallery is not None:
            self._open_gallery(stack, options.gallery)

    def take(self, some: Answers) -> None:
        """Hand some answers on."""
        self._photos += len(some.rows)
        self._unsure += 0 if some.unsure is None else int(some.unsure.sum())
        if len(some.rows):
            for taker in self._takers:
                taker(some)

    def finish(self) -> Outcome:
        """Finish what needs all answers.

        Raises:
            ConfigError: not one photo could be read.
        """
        if not self._photos:
            what = f"none of {len(self._rejected):,} files can be read as a photo"
            raise ConfigError(_nothing(what, self._rejected))
        self._writing.close()  # first: a page that cannot be written does not cost the answers
        for ender in self._enders:
            ender()
        return Outcome(
            answers=None if self._kept is None else pa.concat_tables(self._kept),
            rejected=tuple(self._rejected),
            threshold=self._threshold,
            photos=self._photos,
            unsure=self._unsure,
            others=self._listed.others,
            sorted_now=self._sorter.done if self._sorter else 0,
            sorted_before=self._sorter.before if self._sorter else 0,
        )

    def _open_gallery(self, stack: ExitStack, folder: Path) -> None:
        from glr_fast.gallery import Facts, Gallery, Shown

        model, listed, at = self._model, self._listed, self._threshold.probability
        threads = self._options.threads or usable_cores()
        gallery = stack.enter_context(Gallery(folder, model.names, model.landmark_ids, threads))

        def take(some: Answers) -> None:
            gallery.add(
                [
                    Shown(
                        path=some.paths[i],
                        file=listed.file(row),
                        labels=some.top[i].tolist(),
                        probabilities=some.probabilities[i].tolist(),
                        unsure=some.unsure is not None and bool(some.unsure[i]),
                        data=some.photos[i].data,
                    )
                    for i, row in enumerate(some.rows.tolist())
                ]
            )

        def finish() -> None:
            card, reason = model.card, self._threshold.reason
            gallery.finish(
                Facts(
                    title=self._title,
                    model=f"Recognised by {card.name} ({card.num_classes:,} landmarks): "
                    f"{model.title}.",
                    threshold=""
                    if at is None
                    else f"Unsure is what it gives less than {at:.3g} ({reason}).",
                    rejected=[
                        (r.path, f"{r.reason}: {r.detail}" if r.detail else r.reason)
                        for r in self._rejected
                    ],
                )
            )

        self._takers.append(take)
        self._enders.append(finish)
