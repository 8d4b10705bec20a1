"""Weights from files and from the hub of timm."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import huggingface_hub.constants
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from glr_fast.errors import ConfigError
from glr_fast.heads import classifier_name

_OF_TF = re.compile(r"(?<![A-Za-z])tf_\w*(net|inception)")
"""Names of timm's models with TensorFlow's padding and epsilon; their tensors look like any."""


def load_backbone(model: nn.Module, file: Path, name: str) -> None:
    """Load weights from a file into all but the last layer; half precision becomes float32.

    Raises:
        ConfigError: no such file, unreadable, or weights of another architecture.
    """
    head = classifier_name(model) + "."
    given = {key: value for key, value in read_weights(file).items() if not _is_head(key, head)}
    wanted = {key: value for key, value in model.state_dict().items() if not key.startswith(head)}
    wrong = list(_mismatches(wanted, given))
    if wrong:
        same = sum(key in given and given[key].shape == wanted[key].shape for key in wanted)
        shown = "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise ConfigError(
            f"--model.weights {file}: weights of another architecture: {same} of the "
            f"{len(wanted)} tensors of {name} match ({shown})"
        )
    if not name.startswith("tf_") and any(_OF_TF.search(part) for part in file.parts[-4:]):
        print(
            f"warning: --model.weights {file}: by its name, weights of a tf_ model, which pads and "
            f"normalises otherwise than {name}: the tensors fit, the figures are worse; take "
            f"--model.name tf_{name}",
            file=sys.stderr,
        )
    model.load_state_dict({key: value.float() for key, value in given.items()}, strict=False)


def read_weights(file: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors or .pth file, by name, without wrappers such as ``module.``.

    Raises:
        ConfigError: no such file, or not a file of weights.
    """
    if not file.is_file():
        raise ConfigError(f"--model.weights {file}: no such file")
    try:
        if file.suffix == ".safetensors":
            raw: Any = safetensors.torch.load_file(file)
        else:
            raw = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, SafetensorError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ConfigError(f"--model.weights {file}: cannot be read ({reason})") from None
    except Exception as error:  # torch.load raises pickle's errors for anything but weights
        kind = type(error).__name__
        raise ConfigError(f"--model.weights {file}: not a file of weights ({kind})") from None
    for wrapper in ("state_dict", "model", "model_state_dict"):
        raw = raw.get(wrapper, raw) if isinstance(raw, Mapping) else raw
    if not isinstance(raw, Mapping) or not any(isinstance(v, Tensor) for v in raw.values()):
        raise ConfigError(f"--model.weights {file}: holds no tensors by name")
    return {k.removeprefix("module."): v for k, v in raw.items() if isinstance(v, Tensor)}


def _mismatches(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Iterator[str]:
    for key, value in wanted.items():
        if key not in given:
            if not key.endswith("num_batches_tracked"):  # a counter; converted files lack it
                yield f"{key} is missing"
        elif given[key].shape != value.shape:
            yield f"{key} is {tuple(given[key].shape)}, not {tuple(value.shape)}"
    yield from (f"{key} is not part of the model" for key in given if key not in wanted)


def _is_head(key: str, head: str) -> bool:
    return key.startswith((head, "classifier.", "fc.", "head.fc."))


def hub_reachable() -> bool:
    """Whether the hub's name resolves, or a proxy may resolve it for us."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")):
        return True
    host = urlsplit(huggingface_hub.constants.ENDPOINT).hostname
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True
