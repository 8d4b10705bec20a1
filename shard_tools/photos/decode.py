"""Decoding one photo: strictly if it is a JPEG, by Pillow if it is anything else."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from shard_tools.errors import PhotoError
from shard_tools.photos.jpeg_header import SOI, JpegHeader, read_header, without_filler

MAX_PIXELS = 178_956_970
"""Larger photos are refused: what Pillow calls a decompression bomb."""
OTHER_PIXELS = 1 << 26
"""Larger photos in other formats than JPEG are refused: they cannot be decoded at a smaller size,
and a worker needs up to 12 bytes a pixel for them."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM")
"""What Pillow may open a photo as. Some of its other plugins run programs, such as Ghostscript."""
#: Brands of HEIF files with HEVC inside, at byte 8, as phones write them.
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")

try:  # the extra "heic"; Pillow raises for names of formats that nothing has registered
    import pillow_heif

    pillow_heif.register_heif_opener()
    FORMATS += ("HEIF",)
except ImportError:
    pillow_heif = None

HEIC_SUFFIXES = ("heic", "heif")


def reads_heic() -> bool:
    """Whether HEIC photos can be decoded: the extra ``heic`` is installed."""
    return pillow_heif is not None


_MOST_FILLER = 16

#: Decoding with the least work that still reads the whole entropy-coded body.
_COARSE: dict[str, Any] = {
    "colorspace": "GRAY",
    "fastdct": True,
    "fastupsample": True,
    "min_height": 1,
    "min_width": 1,
    "min_factor": 8,
}

#: Photos are decoded at a scale that leaves this factor to the resampling: 50 dB from a resize of
#: the full decode (JPEG quality 90 itself: 37 dB), 10% faster; 1.0 would be 60% faster, at 35 dB.
_SPARE = 1.5

#: What a strict decoder says of headers that every decoder reads.
HARMLESS = re.compile("Invalid SOS parameters|unknown JFIF revision|Unknown Adobe color", re.I)


def grey(data: bytes, side: int, max_pixels: int = MAX_PIXELS) -> tuple[Image.Image, int, bool]:
    """A small grey version of a photo, upright.

    Args:
        data: any photo that :func:`prepare` takes.
        side: the shorter side has at least this many pixels, if the photo has.
        max_pixels: larger photos are refused.

    Returns:
        The picture, how many pixels the photo has, and whether it is a JPEG that a strict decoder
        reads to its end as it is: what ``prepare`` would find out by decoding it again.

    Raises:
        PhotoError: it cannot be decoded whole, or is too large.
    """
    header = read_header(data)
    if header is not None and header.precision == 8 and header.components in (1, 3):
        check_size(header.width, header.height, max_pixels)
        whole = True
        try:
            try:
                pixels = _small_grey(data, side)
            except ValueError:
                whole = False
                pixels = _small_grey(checked(data), side)
        except ValueError as error:
            if not HARMLESS.search(str(error)):
                raise bad_jpeg(str(error)) from None
        else:
            image = _without_overhang(pixels, header.width, header.height)
            pixels = upright(np.asarray(image)[:, :, None], header.orientation)[:, :, 0]
            return Image.fromarray(pixels), header.width * header.height, whole
    pixels = decode_other(data, max_pixels)
    return Image.fromarray(pixels).convert("L"), pixels.shape[0] * pixels.shape[1], False


def _small_grey(data: bytes, side: int) -> np.ndarray:
    """Shape (height, width), uint8."""
    return simplejpeg.decode_jpeg(
        data, "GRAY", fastdct=True, min_width=side, min_height=side, min_factor=1
    )[:, :, 0]


def _without_overhang(pixels: np.ndarray, width: int, height: int) -> Image.Image:
    """A JPEG decoded at n / 8 of its size, without what its last blocks reach past the photo.

    At an eighth of its size a photo of 801 pixels has 101, the last mostly filler. Without this,
    a photo and its resized copy would be up to 3% apart.
    """
    rows, columns = pixels.shape
    fits = (n for n in range(1, 9) if (-(-width * n // 8), -(-height * n // 8)) == (columns, rows))
    scale = next(fits, 0) / 8
    if not scale:
        raise PhotoError("damaged", f"its header says {width}x{height}, the decoder another size")
    box = (0.0, 0.0, min(width * scale, columns), min(height * scale, rows))
    size = max(int(box[2]), 1), max(int(box[3]), 1)
    image = Image.fromarray(pixels)
    if box[2:] == (columns, rows):
        return image
    return image.resize(size, Image.Resampling.BILINEAR, box=box)


def checked(data: bytes) -> bytes:
    """The same JPEG if its whole body decodes without a warning, without filler at its end.

    Decoded at an eighth of its size: the entropy-coded body, the only thing that can be damaged, is
    read whole all the same, and the rest of the work is saved.
    """
    try:
        simplejpeg.decode_jpeg(data, **_COARSE)
        return data
    except ValueError as error:
        extra = re.search(r"(\d+) extraneous bytes before marker 0xd9", str(error))
        repaired = None
        if extra and int(extra[1]) <= _MOST_FILLER:
            repaired = without_filler(data, int(extra[1]))
        if repaired is None:
            raise
    simplejpeg.decode_jpeg(repaired, **_COARSE)
    return repaired


def strict(data: bytes, size: tuple[int, int]) -> np.ndarray:
    """RGB pixels, decoded at a size from which ``size`` (width, height) can be resampled well.

    Returns:
        Shape (height, width, 3), uint8.
    """
    width, height = (int(side * _SPARE) for side in size)
    try:
        return simplejpeg.decode_jpeg(data, "RGB", min_width=width, min_height=height)
    except ValueError:
        return simplejpeg.decode_jpeg(checked(data), "RGB", min_width=width, min_height=height)


def bad_jpeg(message: str) -> PhotoError:
    """The error for a JPEG that the strict decoder refused with ``message``."""
    short = "premature end of jpeg file" in message.lower()
    return PhotoError("truncated" if short else "damaged", message)


def check_header(header: JpegHeader, width: int, height: int) -> None:
    """Compare the size that a header was read to give with the decoder's own.

    Raises:
        PhotoError: they differ.
    """
    if (width, height) != (header.width, header.height):
        raise PhotoError(
            "damaged",
            f"its header says {header.width}x{header.height}, the decoder {width}x{height}",
        )


def check_size(width: int, height: int, max_pixels: int, kind: str = "JPEG") -> None:
    """Refuse photos of more than ``max_pixels`` pixels.

    Raises:
        PhotoError: too large.
    """
    if width * height > max_pixels:
        raise PhotoError(
            "too large", f"{width}x{height} pixels, the limit of a {kind} is {max_pixels:,} in all"
        )


def decode_other(data: bytes, max_pixels: int) -> np.ndarray:
    """RGB pixels of any format that Pillow reads, upright. Shape (height, width, 3), uint8."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF, large photos: both handled
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                most = max_pixels if image.format == "JPEG" else min(max_pixels, OTHER_PIXELS)
                check_size(*image.size, most, image.format or "photo")
                ImageOps.exif_transpose(image, in_place=True)
                return _to_rgb(image)
    except (PhotoError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError("too large", str(error)) from None
    except UnidentifiedImageError:
        if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS and not reads_heic():
            raise PhotoError("HEIC", "pip install 'glr-fast[heic]' to read it") from None
        reason = "damaged" if data[:2] == SOI else "not a photo"
        raise PhotoError(reason, "no known image format") from None
    except Exception as error:  # Pillow's format readers raise whatever they trip over
        short = "truncated" in str(error).lower()
        raise PhotoError("truncated" if short else "damaged", _unquoted(str(error))) from None


def _unquoted(text: str) -> str:
    """The message of a format reader without what it quotes: the file may be anyone's, no photo."""
    return re.split(r"[:'\"]|\(\w* ?b['\"]", text.removeprefix("b'"))[0].strip()


_STRIP = 1 << 22
"""Pixels converted at a time, so that no second copy of a large photo is made."""


def _to_rgb(image: Image.Image) -> np.ndarray:
    """Any mode as 8-bit RGB: 16 bits scaled down, transparency laid on white.

    Returns:
        Shape (height, width, 3), uint8.
    """
    if image.mode == "F":
        raise PhotoError("not a photo", "pixels are floating point numbers")
    if image.mode == "RGB" and not image.has_transparency_data:
        return np.asarray(image)
    width, height = image.size
    image.load()
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(_STRIP // max(width, 1), 1)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = np.asarray(_strip_to_rgb(strip))
    return pixels


def _strip_to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64).clip(0, 65_535)
        image = Image.fromarray(((deep * 255 + 32_767) // 65_535).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels turned as an EXIF orientation from 1 to 8 says. Shape (height, width, channels)."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
