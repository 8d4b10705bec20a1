"""What glr_fast and its loader are for: the names that they export, and no others."""

from __future__ import annotations

import subprocess
import sys

import pytest

import glr_fast
from glr_fast import data
from glr_fast.data import backends

DATA = (
    "IMAGENET_MEAN IMAGENET_STD POLICIES Augmentation Batch DecodedBatch Edits EncodedPhoto Loader "
    "LoaderOptions Plan Rank Store StoreError bad_samples_file decode_encoded normalise "
    "open_loader read_photo usable_cores"
)
FACE = (
    "RECIPES CompareOptions Comparison Config ConfigError EvaluateOptions Export ExportOptions "
    "Outcome PredictOptions StoreError Study TrainedModel TrainingError TuneOptions compare "
    "evaluate export load_model predict train tune"
)


def test_the_loader_exports_what_it_is_for() -> None:
    assert sorted(data.__all__) == sorted(DATA.split())
    assert all(hasattr(data, name) for name in data.__all__)
    assert data.__doc__


def test_the_backends_export_what_a_new_one_needs() -> None:
    assert sorted(backends.__all__) == ["Backend", "Supply"]
    assert backends.__doc__


def test_the_package_exports_every_command_as_a_function() -> None:
    assert sorted(glr_fast.__all__) == sorted(FACE.split())
    assert set(glr_fast.__all__) <= set(dir(glr_fast))
    for name in glr_fast.__all__:
        value = getattr(glr_fast, name)
        assert name == "RECIPES" or value.__doc__
    for name in ("compare", "evaluate", "export", "load_model", "predict", "train", "tune"):
        function = getattr(glr_fast, name)
        assert callable(function)
        assert "Raises:" in (function.__doc__ or "")
    with pytest.raises(AttributeError, match="no attribute 'compete'"):
        glr_fast.compete  # noqa: B018


def test_a_name_costs_its_own_imports_only() -> None:
    light = "CompareOptions Config ConfigError EvaluateOptions ExportOptions RECIPES TuneOptions"
    code = (
        "import sys, glr_fast; assert not {'torch', 'numpy', 'tyro'} & set(sys.modules)\n"
        f"[getattr(glr_fast, name) for name in '{light}'.split()]\n"
        "assert not {'torch', 'optuna', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
