"""Checks of the libraries that decode and train: each decodes a photo or multiplies a matrix."""

# nvImageCodec is a compiled module without type stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import importlib.metadata
import io
import subprocess
from typing import Any

import numpy as np
from PIL import Image

from glr_fast.doctor.findings import Finding

PACKAGES = (
    "glr-fast", "torch", "torchvision", "timm", "accelerate",
    "nvidia-dali-cuda130", "nvidia-dali-cuda120",
    "nvidia-nvimgcodec-cu13", "nvidia-nvimgcodec-cu12", "opencv-python-headless", "numpy",
    "pyarrow", "pillow", "simplejpeg",
)  # fmt: skip
HARDWARE_JPEG = (
    "A100",
    "A30",
    "H100",
    "H200",
    "H20",
    "GH200",
    "B100",
    "B200",
    "GB200",
    "L4",
    "L40",
)


def versions() -> Finding:
    """Versions of the packages that matter, of those that are installed."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return Finding("ok", "packages", ", ".join(found))


def gpu() -> Finding:
    """GPUs and driver, as nvidia-smi says."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return Finding(
            "note", "GPU", "none (nvidia-smi does not answer)", "training runs on the CPU"
        )
    lines = done.stdout.strip().splitlines()
    return Finding("ok", "GPU", "; ".join(lines))


def torch_device() -> Finding:
    """A matrix product on the device that a run would take."""
    import torch

    if not torch.cuda.is_available():
        build = torch.version.cuda
        found = f"CPU, {torch.get_num_threads()} threads (torch is built for CUDA {build})"
        if gpu().state == "ok":
            advice = f"torch cannot use the GPU: its driver must support CUDA {build}"
            return Finding("fault", "torch", found, advice)
        return Finding("ok", "torch", found)
    matrix = torch.ones(1024, 1024, device="cuda", dtype=torch.bfloat16)
    total = float((matrix @ matrix).float().mean())
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    if total != 1024:
        return Finding("fault", "torch", f"{names}: a matrix product is wrong", "the GPU is faulty")
    return Finding("ok", "torch", f"CUDA {torch.version.cuda} on {names}; bfloat16 works")


def nccl() -> Finding:
    """What processes of several GPUs talk through."""
    import torch

    if torch.distributed.is_nccl_available():
        version = ".".join(map(str, torch.cuda.nccl.version()))  # type: ignore[attr-defined]
        return Finding("ok", "processes", f"NCCL {version} and gloo")
    return Finding("note", "processes", "gloo only", "several GPUs need a torch build with NCCL")


def dali_cpu() -> Finding:
    """DALI's CPU backend decodes a photo."""
    return _dali("cpu")


def dali_gpu() -> Finding:
    """DALI decodes a photo on the GPU; a note where there is none."""
    import torch

    if not torch.cuda.is_available():
        return Finding("note", "DALI on the GPU", "no GPU to try it on")
    from glr_fast.nvjpeg import other_nvjpeg

    other = other_nvjpeg()
    if other:
        advice = "nothing here should import torchvision before glr_fast; report this"
        return Finding("fault", "DALI on the GPU", f"would use {other}", advice)
    return _dali("mixed")


def nvimgcodec_cpu() -> Finding:
    """nvImageCodec's libjpeg-turbo, which the ``cpu`` backend calls, decodes a photo."""
    from nvidia import nvimgcodec

    from glr_fast.data.backends.jpeg_regions import make_decoder

    image = make_decoder().decode(nvimgcodec.CodeStream(_photo().tobytes()))
    shape = None if image is None else np.asarray(image.cpu()).shape
    return _decoded("nvImageCodec, CPU", shape)


def nvimgcodec_gpu() -> Finding:
    """Which of nvImageCodec's GPU decoders decode a photo; a note where there is no GPU."""
    import torch

    subject = "nvImageCodec, GPU"
    if not torch.cuda.is_available():
        return Finding("note", subject, "no GPU to try it on")
    from nvidia import nvimgcodec

    kinds = {"CUDA": nvimgcodec.GPU_ONLY, "CUDA with CPU": nvimgcodec.HYBRID_CPU_GPU}
    works = [name for name, kind in kinds.items() if _decodes_on_gpu(kind)]
    if not works:
        advice = "DALI may still decode there (see below); else check the driver"
        return Finding("note", subject, "none of its decoders works", advice)
    return Finding("ok", subject, f"decodes: {', '.join(works)}")


def hardware_jpeg() -> Finding:
    """Whether nvImageCodec finds a hardware JPEG engine."""
    import torch
    from nvidia import nvimgcodec

    if not torch.cuda.is_available():
        return Finding("note", "JPEG engine", "no GPU to look at")
    name = torch.cuda.get_device_name()
    if not _decodes_on_gpu(nvimgcodec.HW_GPU_ONLY):
        expected = any(word in name for word in HARDWARE_JPEG)
        advice = "this GPU should have one: check the driver" if expected else ""
        return Finding("note", "JPEG engine", f"{name}: not used", advice)
    return Finding("ok", "JPEG engine", f"{name}: decodes")


def _decodes_on_gpu(kind: Any) -> bool:
    """Whether nvImageCodec decodes a photo with one kind of decoder and no other."""
    from nvidia import nvimgcodec

    decoder = nvimgcodec.Decoder(device_id=0, backends=[nvimgcodec.Backend(kind)])
    image = decoder.decode(nvimgcodec.CodeStream(_photo().tobytes()))
    return image is not None and np.asarray(image.cpu()).shape == (48, 64, 3)


def _dali(device: str) -> Finding:
    from nvidia.dali import fn
    from nvidia.dali.pipeline import Pipeline

    gpu_used = device == "mixed"
    pipeline = Pipeline(batch_size=1, num_threads=1, device_id=0 if gpu_used else None)
    with pipeline:
        encoded = fn.external_source(source=lambda: [_photo()], batch=True)
        pipeline.set_outputs(fn.decoders.image(encoded, device=device))
    pipeline.build()
    (images,) = pipeline.run()
    image = np.asarray((images.as_cpu() if gpu_used else images).at(0))
    return _decoded(f"DALI on the {'GPU' if gpu_used else 'CPU'}", image.shape)


def _decoded(subject: str, shape: tuple[int, ...] | None) -> Finding:
    if shape != (48, 64, 3):
        return Finding("fault", subject, f"a 64x48 photo comes out as {shape}", "install it again")
    return Finding("ok", subject, "decodes")


def _photo() -> np.ndarray:
    """A JPEG of 64x48 pixels as bytes, shape (bytes,), uint8."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").save(file, "JPEG")
    return np.frombuffer(file.getvalue(), np.uint8)
