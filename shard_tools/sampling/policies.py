"""Sampling policies by name: how much of an epoch each class gets.

A policy is written as a string, the same on every command line and in every file:

- ``natural``: each photo once.
- ``balanced``: each class the same share.
- ``sqrt``: each class a share proportional to the square root of its photos.
- ``effective[:BETA]``: photos weighted by the inverse of their class's effective number
  ``(1 - BETA^n) / (1 - BETA)`` (Cui et al. 2019, equation 2); BETA 0 is natural, near 1 balanced;
  default 0.999.
- ``repeat[:PHOTOS[:CAP]]``: the photos of a class of n are repeated ``max(1, sqrt(PHOTOS / n))``
  times, at most CAP times (LVIS, Gupta et al. 2019, with the threshold in photos); default 100, 8.
- a schedule, ``natural,balanced@8``: natural in epochs 0 to 7, balanced from epoch 8 on (deferred
  re-sampling, Cao et al. 2019).

Every policy draws as many photos an epoch as the split has, so that they can be compared step by
step and changed in the middle of a run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from shard_tools.errors import StoreError


def balanced_share(counts: np.ndarray) -> np.ndarray:
    """The same for each class that has photos."""
    return (counts > 0).astype(float)


def sqrt_share(counts: np.ndarray) -> np.ndarray:
    """Square root of the photos."""
    return np.sqrt(counts)


def effective_share(counts: np.ndarray, beta: float = 0.999) -> np.ndarray:
    """Photos over their effective number; ``beta`` in [0, 1)."""
    _require(0 <= beta < 1, f"beta {beta} is not in [0, 1)")
    number = (1 - beta**counts) / (1 - beta)
    return np.divide(counts, number, out=np.zeros(len(counts)), where=counts > 0)


def repeat_share(counts: np.ndarray, photos: float = 100, cap: float = 8) -> np.ndarray:
    """Photos times their repeat factor."""
    _require(photos > 0 and cap >= 1, f"photos {photos} must be over 0, cap {cap} 1 or more")
    factor = np.sqrt(photos / np.maximum(counts, 1))
    return counts * np.clip(factor, 1, cap)


#: Policy -> (weight per class from the photos per class and the parameters; most parameters).
_SHARES: dict[str, tuple[Callable[..., np.ndarray], int]] = {
    "balanced": (balanced_share, 0),
    "sqrt": (sqrt_share, 0),
    "effective": (effective_share, 1),
    "repeat": (repeat_share, 2),
}
POLICIES = ("natural", *_SHARES)


@dataclass(frozen=True)
class Policy:
    """One policy with its parameters."""

    name: str
    parameters: tuple[float, ...] = ()

    def share(self, counts: np.ndarray) -> np.ndarray:
        """Share of an epoch that each class gets.

        Args:
            counts: photos per class, shape (classes,), integer.

        Returns:
            Shape (classes,), float64, sums to 1; 0 where a class has no photo.
        """
        if self.name == "natural":
            return counts / counts.sum()
        function, _ = _SHARES[self.name]
        weight = function(counts, *self.parameters)
        return weight / weight.sum()


@lru_cache
def parse_policy(text: str) -> tuple[tuple[int, Policy], ...]:
    """Parse a policy or a schedule of policies.

    Returns:
        (first epoch, policy) pairs, the first epoch of the first being 0, ascending.

    Raises:
        StoreError: an unknown name, bad parameters or epochs out of order.
    """
    steps = []
    for number, part in enumerate(text.split(",")):
        spec, at, epoch = part.strip().partition("@")
        if bool(at) == (number == 0) or (at and not epoch.isdecimal()):
            raise StoreError(
                f"policy {text!r}: write a schedule as FIRST,SECOND@EPOCH, such as "
                "natural,balanced@8"
            )
        steps.append((int(epoch) if at else 0, _parse_one(spec, text)))
    first = [epoch for epoch, _ in steps]
    if any(a >= b for a, b in pairwise(first)):
        raise StoreError(f"policy {text!r}: the epochs after @ must rise")
    return tuple(steps)


def policy_at(text: str, epoch: int) -> Policy:
    """The policy that a schedule has in an epoch."""
    return [policy for first, policy in parse_policy(text) if first <= epoch][-1]


def _parse_one(spec: str, text: str) -> Policy:
    name, *values = spec.split(":")
    most = 0 if name == "natural" else _SHARES.get(name, (None, -1))[1]
    if most < 0:
        raise StoreError(f"unknown sampling policy {name!r}; there are {', '.join(POLICIES)}")
    if len(values) > most:
        raise StoreError(f"policy {text!r}: {name} takes {most} parameters, {len(values)} given")
    try:
        policy = Policy(name, tuple(float(value) for value in values))
        if not all(math.isfinite(value) for value in policy.parameters):
            raise ValueError
    except ValueError:
        raise StoreError(
            f"policy {text!r}: the parameters of {name} must be finite numbers"
        ) from None
    policy.share(np.ones(1, np.int64))  # says what is wrong with the parameters
    return policy


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise StoreError(f"sampling policy: {message}")
