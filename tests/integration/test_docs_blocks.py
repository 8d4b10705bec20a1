"""Every code block of README.md and docs/ does what it says, typed in a folder of tiny photos.

Commands run in this process: one that trains gets a tiny network and one epoch, everything else
is typed as it is printed. What cannot run here is in ``NOT_RUN`` with its reason; if it is a
command of ours, its flags are parsed all the same.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from glr_fast.doctor import machine
from glr_fast.recipes import RECIPES
from shard_tools.sampling import policies
from tests.conftest import REPOSITORY
from tests.helpers.doc_blocks import Block, blocks, check_flags, our_words, pages, reason_for, typed

NETWORK = "needs a network"
CLUSTER = "needs GPUs, machines or an object store that tests do not have"
PROCESSES = "starts processes of its own"

#: How a command begins -> why it is not run here.
NOT_RUN = {
    "python3 -m venv": f"{NETWORK}; the clean clone of .ci/run does it",
    "source .venv": "belongs to the line before it",
    "pip install": NETWORK,
    "podman ": f"{NETWORK} and an engine; tests/test_containerfile.py looks at the file",
    "kaggle ": NETWORK,
    "aws ": NETWORK,
    "glr-shard build --source landmark-recognition-2020.zip": f"{NETWORK}: the whole data set",
    "glr-shard fetch": f"{NETWORK}; tests/shard_tools/fetch has a server of its own",
    "glr-shard build --source gldv2": "takes what the line before it downloads",
    "glr-shard build --source photos --out s3://": f"{CLUSTER}; tests/shard_tools/files has one",
    "glr-shard verify s3://": f"{CLUSTER}; tests/shard_tools/files has one",
    "glr-train --recipe resnet50_ldam --data.store s3://": (
        f"{CLUSTER}; tests/integration/test_train_from_s3.py has one"
    ),
    "glr-evaluate --store s3://": CLUSTER,
    "glr-shard build --source /shared/photos": CLUSTER,
    "ray ": CLUSTER,
    "srun ": CLUSTER,
    "python -m benchmarks.first_gpu_hour": CLUSTER,
    "glr-train --recipe resnet50_ldam --data.store glr2020": "takes what the line before it builds",
    "glr-launch": f"{PROCESSES}; tests/dist runs it",
    "accelerate launch": f"{PROCESSES}; tests/dist runs it",
    "ACCELERATE_USE_CPU=true accelerate launch": f"{PROCESSES}; tests/dist runs it",
    "python -m shard_tools.demo_photos": (
        "the photos are there, smaller; tests/shard_tools/test_demo_photos.py runs it"
    ),
    "glr-export --model runs/a --out programs --formats": (
        "takes half a minute; tests/glr_fast/exports/test_export.py runs it"
    ),
    "glr-tune": f"{PROCESSES}; tests/integration/test_tune.py runs it",
    "glr-train --config runs/study": "takes what the search before it wrote",
    "glr-train --init-from runs/a": "begins with a run of the model that the recipe names",
    "glr-train --recipe efficientnet_b0_ce --data.store store --model.weights": (
        "takes a file of weights; tests/glr_fast/test_models.py has one"
    ),
    "tensorboard ": "serves until it is stopped",
    "eval ": "tests/glr_fast/test_command_lines.py prints the scripts",
}

#: Pages whose blocks other tests run.
ELSEWHERE = {
    "docs/api.md": "tests/integration/test_api_page.py",
    "docs/sources.md": "tests/integration/test_sources_page.py",
    "docs/format.md": "tests/integration/test_format_page.py",
}
#: Pages that begin before there is a store.
FRESH = ("README.md", "docs/index.md", "docs/tutorial.md")
#: Blocks that show text, and those that a browser draws.
SHOWN = ("text", "mermaid", "yaml", "csv", "json")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of six landmarks, a table of them, an album, and the scripts of a clone."""
    from shard_tools.demo_photos import write_album
    from shard_tools.demo_photos.writing import write_class_folders

    folder = tmp_path_factory.mktemp("docs")
    write_class_folders(folder / "photos", 4, 18, 10, seed=1, size=(96, 72))
    write_album(folder / "holiday", 4, 2, seed=1, size=(96, 72))
    files = sorted(path.relative_to(folder) for path in folder.glob("photos/*/*.jpg"))
    lines = [f"{path},{path.parent.name},u{n // 3}" for n, path in enumerate(files)]
    (folder / "lists").mkdir()
    (folder / "lists/visits.csv").write_text("\n".join(["path,label,user_id", *lines]) + "\n")
    (folder / "launch").symlink_to(REPOSITORY / "launch")
    return folder


@pytest.fixture(scope="module")
def prepared(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a store and a run of it, evaluated on both splits."""
    from glr_fast import Config, EvaluateOptions, evaluate, train
    from glr_fast.config import DataConfig, ModelConfig, OptimConfig
    from tests.helpers.photos import built

    folder = tmp_path_factory.mktemp("docs") / "prepared"
    shutil.copytree(bare, folder, symlinks=True)
    built(folder / "photos", folder / "store")
    config = Config(
        data=DataConfig(store=folder / "store", batch_size=8, image_size=32, threads=1),
        model=ModelConfig(name="test_resnet", pretrained=False),
        optim=OptimConfig(epochs=1),
        out=folder / "runs" / "a",
        tracker="none",
    )
    train(config)
    for split in ("val", "test"):
        evaluate(EvaluateOptions(run=folder / "runs/a", split=split, report=False, resamples=100))
    return folder


def parts(language: str) -> list[Block]:
    return [b for page in pages() for b in blocks(page) if b.language == language]


def test_every_block_has_a_language_and_none_is_merely_indented() -> None:
    known = ("bash", "python", *SHOWN)
    ours = [page for page in pages() if page not in ELSEWHERE]
    every = [block for page in ours for block in blocks(page)]
    strange = [(block.page, block.text) for block in every if block.language not in known]
    assert strange == []
    unseen = []
    for page in ours:
        text = (REPOSITORY / page).read_text()
        for block in blocks(page):
            text = text.replace(block.text, "")
        unseen += [
            (page, line)
            for line in text.splitlines()
            if line.startswith("    ") and our_words(line.strip().removeprefix("$ "))
        ]
    assert unseen == []


def test_what_is_not_run_is_still_somewhere_and_the_other_tests_exist() -> None:
    commands = [command for block in parts("bash") for command in block.commands]
    stale = [start for start in NOT_RUN if not any(c.startswith(start) for c in commands)]
    assert stale == []
    for page, test in ELSEWHERE.items():
        assert Path(page).name in (REPOSITORY / test).read_text()


LEFT_OUT = [
    command for b in parts("bash") for command in b.commands if reason_for(command, NOT_RUN)
]


@pytest.mark.parametrize("command", [c for c in LEFT_OUT if our_words(c)])
def test_the_flags_of_what_is_not_run_exist(command: str) -> None:
    check_flags(our_words(command))


WITH_BLOCKS = [
    page
    for page in pages()
    if page not in ELSEWHERE and any(b.language in ("bash", "python") for b in blocks(page))
]


@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_the_blocks_of_a_page(
    page: str, bare: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    shutil.copytree(bare if page in FRESH else prepared, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(policies, "_SHARES", dict(policies._SHARES))
    whole = machine.disk
    monkeypatch.setattr(machine, "disk", lambda where: whole(where, 4 * machine.MIB))
    known = dict(RECIPES)
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        for block in blocks(page):
            if block.language == "python":
                _exec(block, names)
            elif block.language == "bash":
                for command in block.commands:
                    _run(command, monkeypatch, report=page == "docs/evaluation.md")
    finally:
        RECIPES.clear()
        RECIPES.update(known)
        policies.parse_policy.cache_clear()


def _exec(block: Block, names: dict[str, Any]) -> None:
    if 'read_csv("labels.csv"' in block.text:  # in the folder of an export: test_export.py
        compile(block.text, block.page, "exec")
        return
    exec(compile(block.text, block.page, "exec"), names)  # noqa: S102 (what a reader would type)


def _run(command: str, monkeypatch: pytest.MonkeyPatch, report: bool) -> None:
    if reason_for(command, NOT_RUN):
        return
    words = our_words(command)
    if words:
        typed(words, monkeypatch, report)
        return
    program, flag, code = shlex.split(command)
    assert (program, flag) == ("python", "-c"), f"{command}: run it, or say in NOT_RUN why not"
    exec(compile(code, command, "exec"), {})  # noqa: S102 (what a reader would type)
