"""Photos into one folder per landmark: copied or linked, never overwriting, continued if repeated.

``sorted.csv`` in the folder says where each photo went. What stands in it is not put there again,
even if a user has moved or removed it since.
"""

from __future__ import annotations

import csv
import fcntl
import filecmp
import io
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from glr_fast.errors import ConfigError
from glr_fast.predict_options import LinkKind
from glr_fast.prediction.answers import Answers
from glr_fast.prediction.listing import Listed
from glr_fast.prediction.names import folder_name, numbered, safe_name
from shard_tools.errors import escaped

JOURNAL = "sorted.csv"
_BESIDE = ".sorting-"
UNSURE = "unsure"
_COLUMNS = ["path", "sorted_to", "sorted_by"]


def check_sort_into(folder: Path) -> None:
    """Refuse what cannot be a folder to sort into.

    Raises:
        ConfigError: it is a file, or there is no folder to make it in.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--sort-into {folder}: is a file; give a folder")
    if not folder.exists() and not folder.absolute().parent.is_dir():
        raise ConfigError(f"--sort-into {folder}: there is no folder {folder.absolute().parent}")


class Sorter:
    """Puts photos into folders as their answers come.

    Args:
        folder: gets the folders of the landmarks; is made.
        listed: the photos.
        names: of the classes, by label.
        landmark_ids: of the classes, by label.
        link: kind of link; None copies.
        model: what to call the model; another's folders are not gone on with.
    """

    def __init__(
        self,
        folder: Path,
        listed: Listed,
        names: Sequence[str],
        landmark_ids: Sequence[str],
        link: LinkKind | None,
        model: str = "",
    ) -> None:
        self._folder, self._listed, self._link, self._model = folder, listed, link, model
        self._folders = folders_of(names, landmark_ids)
        self.done = self.before = 0
        """Photos put there now, and photos that were there before."""
        folder.mkdir(exist_ok=True)
        self._journal = open(folder / JOURNAL, "a", newline="", encoding="utf-8")  # noqa: SIM115
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"--sort-into {folder}: another glr-predict sorts into it") from None
        for left in folder.glob(f"{_BESIDE}*"):  # by a call that was killed
            shutil.rmtree(left, ignore_errors=True)
        self._sorted, other = _read_journal(folder / JOURNAL)
        if other not in ("", model):
            raise ConfigError(
                f"--sort-into {folder}: was sorted by {other}, not by {model}; give another folder"
            )
        self._taken = set(self._sorted.values())
        if os.fstat(self._journal.fileno()).st_size == 0:
            csv.writer(self._journal).writerow(_COLUMNS)
        self._beside = tempfile.TemporaryDirectory(prefix=_BESIDE, dir=folder)

    def add(self, answers: Answers) -> None:
        """Put the photos of some answers where they belong.

        Raises:
            ConfigError: the disk is full, or cannot be written or linked to.
        """
        for place, (row, path) in enumerate(zip(answers.rows.tolist(), answers.paths, strict=True)):
            key = escaped(os.path.abspath(path))  # noqa: PTH100 (Path.absolute keeps "..")
            if key in self._sorted:
                self.before += 1
                continue
            unsure = answers.unsure is not None and answers.unsure[place]
            folder = UNSURE if unsure else self._folders[int(answers.top[place, 0])]
            try:
                found = self._put(row, path, folder)
            except OSError as error:
                reason = error.strerror or str(error)
                raise ConfigError(
                    f"--sort-into {self._folder}: {path}: {reason}; what was sorted stays, the "
                    "same command continues"
                ) from None
            self._sorted[key] = found
            self._taken.add(found)
            csv.writer(self._journal).writerow([key, found, self._model])
            self._journal.flush()
            self.done += 1

    def close(self) -> None:
        """Close the list of what was sorted."""
        self._beside.cleanup()
        self._journal.close()

    def _put(self, row: int, path: str, folder: str) -> str:
        """Put a photo into a folder; its new path, relative to that of all."""
        (self._folder / folder).mkdir(exist_ok=True)
        name = safe_name(os.path.basename(path))  # noqa: PTH119 (a member's path may be anything)
        source = self._listed.file(row)
        copied = None
        if self._link is None or source is None:
            copied = Path(self._beside.name, "photo")
            if source is None:
                copied.write_bytes(self._listed.read(row))
            else:
                shutil.copy2(source, copied)
        number = 0
        while True:
            number += 1
            relative = f"{folder}/{numbered(name, number)}"
            target = self._folder / relative
            try:
                self._make(target, copied, source)
            except FileExistsError:
                # Put there by a call that was killed before it could say so?
                if relative in self._taken or not self._is_same(target, copied, source):
                    continue
            if copied is not None:
                copied.unlink(missing_ok=True)
            return relative

    def _make(self, target: Path, copied: Path | None, source: Path | None) -> None:
        """Let a photo appear under a name that must be free.

        Raises:
            FileExistsError: it is not.
        """
        if copied is not None:
            _appear(copied, target)
        elif source is not None and self._link == "hard":
            os.link(source, target)
        elif source is not None:
            target.symlink_to(source.absolute())

    def _is_same(self, target: Path, copied: Path | None, source: Path | None) -> bool:
        if not target.is_file():
            return False
        if copied is not None:
            return filecmp.cmp(copied, target, shallow=False)
        return source is not None and target.samefile(source)


def folders_of(names: Sequence[str], landmark_ids: Sequence[str]) -> list[str]:
    """The folder of each label, all different, and the same whichever photos there are."""
    used = {UNSURE}  # in lower case: some systems know no other
    folders = []
    for name, landmark_id in zip(names, landmark_ids, strict=True):
        wanted, number = folder_name(name, landmark_id), 1
        while numbered(wanted, number).lower() in used:
            number += 1
        folders.append(numbered(wanted, number))
        used.add(folders[-1].lower())
    return folders


def _appear(file: Path, target: Path) -> None:
    """Give a finished file its name, unless that is taken."""
    try:
        os.link(file, target)  # fails where a rename would replace
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links, as of cameras
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        file.rename(target)


def _read_journal(file: Path) -> tuple[dict[str, str], str]:
    """Where photos went, and by which model.

    A last line that was not written to its end is taken off the file.
    """
    if not file.exists():
        return {}, ""
    data = file.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(file, len(whole))
    rows = list(csv.reader(io.StringIO(whole.decode("utf-8", "replace"), newline="")))
    if rows and rows[0] != _COLUMNS:
        raise ConfigError(f"{file}: not a list that --sort-into wrote; give another folder")
    rows = [row for row in rows[1:] if len(row) == len(_COLUMNS)]
    return {row[0]: row[1] for row in rows}, rows[-1][2] if rows else ""
