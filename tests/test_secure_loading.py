"""Nothing from outside is unpickled: weights, an index or a checkpoint may be anyone's."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest
import torch
from accelerate.utils.other import load

from glr_fast.errors import ConfigError
from glr_fast.weights import read_weights
from tests.test_structure import sources

#: Modules that run what they read, but for what we send to our own processes.
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}


def calls(path: Path) -> list[tuple[int, str, dict[str, object]]]:
    """Line, name as written and constant keywords of every call in a file."""
    return [
        (
            node.lineno,
            ast.unparse(node.func),
            {
                keyword.arg: keyword.value.value
                for keyword in node.keywords
                if keyword.arg and isinstance(keyword.value, ast.Constant)
            },
        )
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]


def faults(path: Path) -> list[str]:
    found = []
    for line, name, keywords in calls(path):
        if name == "torch.load" and keywords.get("weights_only") is not True:
            found.append(f"{path}:{line}: torch.load without weights_only=True")
        if name.endswith("np.load") and keywords.get("allow_pickle") is not False:
            found.append(f"{path}:{line}: np.load without allow_pickle=False")
        if name.endswith(".read_pickle"):
            found.append(f"{path}:{line}: {name}")
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        own = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names = own or [alias.name for alias in node.names]
        found += [f"{path}:{node.lineno}: {name}" for name in names if name in UNPICKLERS]
    return found


def test_no_file_is_unpickled() -> None:
    assert not [fault for path in sources("glr_fast", "shard_tools") for fault in faults(path)]


@pytest.mark.parametrize(
    "line",
    ["torch.load(f)", "np.load(f)", "import pickle", "pandas.read_pickle(f)", "from yaml import x"],
)
def test_the_search_finds(line: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(f"{line}\n")
    assert faults(tmp_path / "bad.py")


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".pth", ".bin", ".safetensors"])
def test_weights_that_would_run_code(suffix: str, tmp_path: Path) -> None:
    trap, file = tmp_path / "sprung", tmp_path / f"weights{suffix}"
    torch.save({"fc.weight": Trap(trap)}, file)
    with pytest.raises(ConfigError, match="weights"):
        read_weights(file)
    file.write_bytes(pickle.dumps({"fc.weight": Trap(trap)}))
    with pytest.raises(ConfigError, match="weights"):
        read_weights(file)
    assert not trap.exists()
    pickle.loads(file.read_bytes())
    assert trap.exists()  # as it is when pickle reads it


def test_a_checkpoint_that_would_run_code(tmp_path: Path) -> None:
    """What ``Accelerator.load_state`` reads a run's checkpoint with."""
    trap, file = tmp_path / "sprung", tmp_path / "random_states_0.pkl"
    torch.save({"step": 3, "more": Trap(trap)}, file)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        load(file)
    assert not trap.exists()
