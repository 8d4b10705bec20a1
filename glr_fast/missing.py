"""Which extra installs a package that is not installed: for one line in place of a traceback."""

from __future__ import annotations

EXTRAS = {
    "train": (
        *("accelerate", "cv2", "jinja2", "matplotlib", "nvidia", "pandas", "plotly"),
        *("safetensors", "sklearn", "tensorboard", "timm", "torch", "torchvision", "tyro"),
    ),
    "tune": ("optuna",),
    "postgres": ("psycopg",),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "s3": ("s3fs", "upath"),
    "cluster": ("ray",),
    "heic": ("pillow_heif",),
}
"""Extra of ``pyproject.toml`` -> top-level modules that it brings."""

CUDA_12 = "for drivers older than 580, 'glr-fast[train-cuda12]'"


def advice(error: ImportError) -> str | None:
    """What to install, in one line; None if the module is of no extra of ours.

    Args:
        error: of an import that failed.
    """
    module = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
    if extra is None or not isinstance(error, ModuleNotFoundError):
        return None
    older = f"; {CUDA_12}" if extra == "train" else ""
    return (
        f"{error.name} is not installed; pip install 'glr-fast[{extra}]' "
        f"(in a checkout: pip install -e '.[{extra}]'){older}"
    )
