"""One process at a time in a run folder: a lock that ends with its process, however it ends."""

from __future__ import annotations

import fcntl
import os
import platform
from pathlib import Path

from glr_fast.errors import ConfigError

LOCK = "run.lock"


class RunLock:
    """The lock of a run folder, held from ``take`` to ``release``.

    It is a lock of the system on a file that says who holds it, so a killed run leaves none. The
    folder is made if need be; if nothing but the lock has come into it, ``release`` removes it
    again, so that a start that failed leaves nothing behind.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self._file = run / LOCK
        self._made: list[Path] = []
        self._number: int | None = None

    def take(self) -> None:
        """Take the lock, or leave things as they are.

        Raises:
            ConfigError: another process trains there, or the folder cannot be written to.
        """
        run = self._file.parent
        self._made = [folder for folder in (run, *run.parents) if not folder.exists()]
        try:
            run.mkdir(parents=True, exist_ok=True)
            self._number = self._locked()
        except FileExistsError:
            raise ConfigError(f"--out {run}: not a folder") from None
        except OSError as error:
            self._remove_folders()
            raise ConfigError(f"--out {run}: cannot be written to ({error.strerror})") from None

    def release(self) -> None:
        """Let others in; without the lock, this does nothing."""
        if self._number is not None:
            self._file.unlink(missing_ok=True)  # while it is locked, so nobody else's goes
            os.close(self._number)
            self._number = None
            self._remove_folders()

    def _locked(self) -> int | None:
        """The locked file; None where the file system knows no locks, and nothing is locked."""
        while True:
            number = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(number, 200).decode(errors="replace").strip()
                os.close(number)
                raise ConfigError(
                    f"--out {self._file.parent}: {holder or 'another process'} is training there; "
                    "wait for its end or stop it, or give another --out"
                ) from None
            except OSError:
                os.close(number)
                self._file.unlink(missing_ok=True)
                return None
            # The one before may have removed the file between our opening and locking it.
            if self._file.exists() and os.path.samestat(os.fstat(number), self._file.stat()):
                os.truncate(number, 0)
                os.write(number, f"process {os.getpid()} on {platform.node()}\n".encode())
                return number
            os.close(number)

    def _remove_folders(self) -> None:
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:  # it holds a run by now
                return
