"""The files in launch/accelerate: what they start, and two machines that find each other."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import ClusterConfig

from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "launch" / "accelerate"


@pytest.mark.parametrize(
    ("name", "machines", "processes"),
    [("one_gpu", 1, 1), ("several_gpus", 1, 2), ("eight_gpus", 1, 8), ("two_machines", 2, 16)],
)
def test_a_configuration_starts_that_many(name: str, machines: int, processes: int) -> None:
    file = FOLDER / f"{name}.yaml"
    config = ClusterConfig.from_yaml_file(str(file))
    assert (config.num_machines, config.num_processes) == (machines, processes)
    assert config.mixed_precision == "bf16"
    assert f"launch/accelerate/{name}.yaml" in file.read_text().splitlines()[0 if machines == 1 else 1]
    assert set(yaml.safe_load(file.read_text())) <= set(ClusterConfig.__dataclass_fields__)


def test_two_machines_train_one_model(store: Path, tmp_path: Path) -> None:
    """Two machines of one process each, both this one, on the CPU."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = FOLDER / "two_machines.yaml"
    flags = (
        f"--num_processes 2 --mixed_precision no --main_process_ip 127.0.0.1 "
        f"--main_process_port {port} launch/train.py --data.store {store} --out {tmp_path / 'run'} "
        "--model.name test_resnet --model.no-pretrained --data.batch-size 8 --data.image-size 32 "
        "--data.threads 1 --run.max-steps 2 --run.log-every 1 --run.eval-every 0 --tracker none"
    )
    module = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
    machines = [
        subprocess.Popen(
            [*module, "--config_file", str(config), "--machine_rank", str(rank), *flags.split()],
            cwd=REPOSITORY,
            env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [machine.communicate(timeout=180)[0] for machine in machines]
    finally:
        for machine in machines:
            machine.kill()
    assert [machine.returncode for machine in machines] == [0, 0], said
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines if "train/loss" in line] == [1, 2]
