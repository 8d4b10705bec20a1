"""Decoders: each turns batch plans into images, with equal crops, flips and colours.

``dali`` works on the GPU or on DALI's CPU backend; ``cpu`` on libjpeg-turbo and OpenCV in threads.
A new one implements :class:`Backend` and is chosen in ``glr_fast/data/opening.py``.
"""

from glr_fast.data.backends.base import Backend, Supply

__all__ = ["Backend", "Supply"]
