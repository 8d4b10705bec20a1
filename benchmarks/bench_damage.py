"""Which damage to a JPEG a strict decoder finds, for the table in docs/format.md.

python -m benchmarks.bench_damage ../shared/data/landmarks13
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from shard_tools.errors import PhotoError
from shard_tools.photos.prepare import PhotoOptions, prepare

Damage = Callable[[bytearray, np.random.Generator], None]


def flip(count: int) -> Damage:
    """That many bits anywhere in the file."""

    def damage(data: bytearray, rng: np.random.Generator) -> None:
        for bit in rng.integers(0, 8 * len(data), count).tolist():
            data[bit // 8] ^= 1 << bit % 8

    return damage


def run(length: int, zeros: bool) -> Damage:
    """A run of bytes anywhere in the file, zeros or random."""

    def damage(data: bytearray, rng: np.random.Generator) -> None:
        at = int(rng.integers(0, max(len(data) - length, 1)))
        data[at : at + length] = bytes(length) if zeros else rng.bytes(length)

    return damage


def cut(least: int, most_share: float) -> Damage:
    """Bytes missing at the end: ``least``, or up to a share of the file."""

    def damage(data: bytearray, rng: np.random.Generator) -> None:
        missing = max(least, int(rng.random() * most_share * len(data)))
        del data[len(data) - missing :]

    return damage


def gap(length: int) -> Damage:
    """Bytes missing in the middle."""

    def damage(data: bytearray, rng: np.random.Generator) -> None:
        at = int(rng.integers(0, max(len(data) - length, 1)))
        del data[at : at + length]

    return damage


DAMAGES: dict[str, Damage] = {
    "1 bit flipped": flip(1),
    "10 bits flipped": flip(10),
    "100 bits flipped": flip(100),
    "40 bytes zeroed": run(40, True),
    "512 bytes zeroed": run(512, True),
    "4096 bytes zeroed": run(4096, True),
    "40 random bytes": run(40, False),
    "512 random bytes": run(512, False),
    "4096 random bytes": run(4096, False),
    "1 byte missing inside": gap(1),
    "512 bytes missing inside": gap(512),
    "cut off by 2 bytes": cut(2, 0.0),
    "cut off by up to half": cut(3, 0.5),
}


def main() -> None:
    """Damage every photo once in each way, and count what is found."""
    files = sorted(Path(sys.argv[1]).rglob("*.jpg"))
    photos = [file.read_bytes() for file in files]
    print(f"{len(photos)} photos, mean {np.mean([len(p) for p in photos]):,.0f} bytes\n")
    print("| damage | found | as |\n|---|---|---|")
    for number, (name, damage) in enumerate(DAMAGES.items()):
        reasons: Counter[str] = Counter()
        for row, photo in enumerate(photos):
            data = bytearray(photo)
            damage(data, np.random.default_rng([number, row]))
            try:
                prepare(bytes(data), PhotoOptions())
            except PhotoError as error:
                reasons[error.reason] += 1
        found = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        print(f"| {name} | {reasons.total() / len(photos):.1%} | {found} |", flush=True)


if __name__ == "__main__":
    main()
