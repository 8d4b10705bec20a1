"""From photos of landmarks to answers: train, evaluate, compare, tune, predict, export.

Everything that the commands do, as functions; docs/api.md has examples::

    from glr_fast import EvaluateOptions, evaluate, load_model, predict

    model = load_model("runs/a")                      # a run, its best/, or an export
    outcome = predict(model, ["holiday"])             # bare photos
    figures = evaluate(EvaluateOptions(run=Path("runs/a"), store=Path("store"), split="test"))

What a user can put right raises ``ConfigError``, or ``StoreError`` where a store or a photo is at
fault; a training that cannot go on raises ``TrainingError``. Each message is one line.

``import glr_fast`` loads nothing but the nvJPEG that DALI needs (:mod:`glr_fast.nvjpeg`): torch and
the rest come with the first name that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glr_fast.nvjpeg import load_packaged_nvjpeg

if TYPE_CHECKING:
    from glr_fast.compare_options import CompareOptions
    from glr_fast.comparison import Comparison, compare
    from glr_fast.config import Config
    from glr_fast.data import StoreError
    from glr_fast.errors import ConfigError, TrainingError
    from glr_fast.evaluate_options import EvaluateOptions
    from glr_fast.evaluation import evaluate
    from glr_fast.export_options import ExportOptions
    from glr_fast.exports import Export, export
    from glr_fast.predict_options import PredictOptions
    from glr_fast.prediction import Outcome, predict
    from glr_fast.recipes import RECIPES
    from glr_fast.trained_model import TrainedModel, load_model
    from glr_fast.trainer import train
    from glr_fast.tune_options import TuneOptions
    from glr_fast.tuning import Study, tune

__all__ = [
    "RECIPES",
    "CompareOptions",
    "Comparison",
    "Config",
    "ConfigError",
    "EvaluateOptions",
    "Export",
    "ExportOptions",
    "Outcome",
    "PredictOptions",
    "StoreError",
    "Study",
    "TrainedModel",
    "TrainingError",
    "TuneOptions",
    "compare",
    "evaluate",
    "export",
    "load_model",
    "predict",
    "train",
    "tune",
]

load_packaged_nvjpeg()


def __getattr__(name: str) -> Any:
    """A public name, its module imported on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("ConfigError", "TrainingError"):
        from glr_fast import errors as module
    elif name == "StoreError":
        from glr_fast import data as module
    elif name == "Config":
        from glr_fast import config as module
    elif name == "RECIPES":
        from glr_fast import recipes as module
    else:
        module = _module_of(name)
    value = getattr(module, name)
    globals()[name] = value  # found without this function from now on
    return value


def _module_of(name: str) -> Any:
    """The module of a command's function, options or result."""
    if name in ("load_model", "TrainedModel"):
        from glr_fast import trained_model as module
    elif name == "train":
        from glr_fast import trainer as module
    elif name == "evaluate":
        from glr_fast import evaluation as module
    elif name in ("predict", "Outcome"):
        from glr_fast import prediction as module
    elif name in ("compare", "Comparison"):
        from glr_fast import comparison as module
    elif name in ("tune", "Study"):
        from glr_fast import tuning as module
    elif name in ("export", "Export"):
        from glr_fast import exports as module
    elif name == "EvaluateOptions":
        from glr_fast import evaluate_options as module
    elif name == "PredictOptions":
        from glr_fast import predict_options as module
    elif name == "CompareOptions":
        from glr_fast import compare_options as module
    elif name == "TuneOptions":
        from glr_fast import tune_options as module
    else:
        from glr_fast import export_options as module
    return module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
