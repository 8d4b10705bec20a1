"""Files and folders that appear whole or not at all, and weights on the disk."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor


def write_atomically(file: Path, text: str) -> None:
    """Write a small text file under a temporary name, then rename it."""
    write_whole(file, text.encode())


def write_whole(file: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it."""
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        temporary.write_bytes(content)
        sync(temporary)
        temporary.replace(file)
    except OSError as error:
        # What was asked for, not a name of ours; where the disk is full there is none at all.
        error.filename, error.filename2 = str(file), None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_weights(weights: Mapping[str, Tensor], file: Path, note: Mapping[str, Any]) -> None:
    """Write tensors by name as safetensors, ``note`` inside the file; its mode is the umask's.

    Raises:
        OSError: the file cannot be written.
    """
    # The file format knows contiguous tensors only; ours are channels-last.
    tensors = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
    metadata = {key: str(value) for key, value in note.items()} | {"format": "pt"}
    usual = file.with_name(f"{file.name}.mode")
    usual.touch()
    try:
        safetensors.torch.save_file(tensors, file, metadata)
        give_mode_of(usual, [file])
    except SafetensorError as error:  # which has the system's number in its text only
        found = re.search(r"os error (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number), str(file)) from None
    finally:
        usual.unlink()


def give_mode_of(usual: Path, files: Iterable[Path]) -> None:
    """Give files the mode of one that was opened as usual, which the user's umask decided.

    safetensors writes to a temporary file that only its owner may read, whatever the umask says.
    """
    mode = stat.S_IMODE(usual.stat().st_mode)
    for file in files:
        if file.is_file():
            file.chmod(mode)


def publish(temporary: Path, folder: Path) -> None:
    """Rename a written folder once its files are on the disk."""
    for file in temporary.iterdir():
        sync(file)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    sync(folder.parent)


def sync(file: Path) -> None:
    """See that a file, or the names in a folder, are on the disk."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
