"""SIGTERM and SIGUSR1: a run finishes its step, saves and ends, on all processes at one step.

Clusters send them shortly before they take the machine away (Slurm: ``--signal=USR1@120``).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
PATIENCE = 20.0
"""Seconds after SIGTERM until one of several processes ends itself if it has not come to the end of
its step: it hangs in a call that waits for a process that has died."""


class StoppedError(Exception):
    """A signal has asked the run to stop."""


class StopSignals:
    """Takes note of the signals while the block runs; elsewhere than in the main thread nothing is.

    Args:
        processes: of the run; with several, they agree on the step at which they stop.
    """

    def __init__(self, processes: int = 1) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._raises = False
        self._ended, self._busy = threading.Event(), False
        self._beat = time.monotonic()
        self._sockets: tuple[socket.socket, socket.socket] | None = None
        self._processes = processes
        self._group: Any = dist.new_group(backend="gloo") if processes > 1 else None
        self._flag = torch.zeros(1)
        self._exchange: Any = None
        self._agreed = False

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._note)
            if self._processes > 1:
                self._watch()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._exchange is not None and kind is None:
            self._exchange.wait()  # the others make it, too
        if self._before and self._processes > 1:
            signal.set_wakeup_fd(-1)
            self._ended.set()
            assert self._sockets is not None
            self._sockets[1].close()  # the thread ends; not before: others would get its number
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @property
    def cause(self) -> str:
        """What the run was stopped by, in words."""
        return self.received.name if self.received else "a signal to another process"

    def asked(self) -> bool:
        """Whether to stop now. All processes of a run call it once a step, and get one answer.

        Several processes exchange what they know in the background, so that none waits for it: a
        signal counts one step later. Nothing of this touches the device.
        """
        if self._group is None:
            return self.received is not None
        self.beat()
        if self._exchange is not None:
            self._exchange.wait()
            self._agreed = self._agreed or bool(self._flag.item())
        self._flag = torch.tensor([float(self.received is not None)])
        self._exchange = dist.all_reduce(self._flag, group=self._group, async_op=True)
        return self._agreed

    def beat(self) -> None:
        """This process does not hang: called at the end of each step."""
        self._beat = time.monotonic()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A block that a signal ends at once, by ``StoppedError``; not of several processes."""
        if self._processes > 1:
            self._busy = True  # an evaluation may take longer than any step
            try:
                yield
            finally:
                self.beat()
                self._busy = False
            return
        if self.received is not None:
            raise StoppedError
        self._raises = True
        try:
            yield
        except Exception as error:
            if self.received is not None:  # what it became on its way through foreign code
                raise StoppedError from error
            raise
        finally:
            self._raises = False

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number)
        if self._raises:
            self._raises = False
            raise StoppedError

    def _watch(self) -> None:
        """Let a thread know of signals, also while the main one hangs in a call."""
        # Both are kept: a signal writes into whatever file has the number of a closed one.
        self._sockets = reader, writer = socket.socketpair()
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._end_if_hanging, args=(reader,), daemon=True).start()

    def _end_if_hanging(self, reader: socket.socket) -> None:
        while received := reader.recv(64):
            if signal.SIGTERM in received:
                break
        asked = time.monotonic()
        while not self._ended.wait(min(1.0, PATIENCE / 4)):
            if self._busy or time.monotonic() - max(asked, self._beat) < PATIENCE:
                continue
            rank = dist.get_rank()
            print(
                f"error on rank {rank}: told to stop, and hangs; has another process died? "
                "continue with the same command and --resume",
                file=sys.stderr,
                flush=True,
            )
            os._exit(128 + signal.SIGTERM)
