"""``accelerate launch`` with errors in one line, exit codes that arrive, and signals handed on.

    glr-launch launch/train.py --recipe resnet50_ce --data.store store --out runs/a
    glr-launch --num_processes 8 launch/train.py ...

It takes the options of ``accelerate launch``, and sets those it would warn of: one process for each
GPU, or one. Several processes without a GPU are CPU processes. The only process of a run replaces
the launcher; the launcher of several ends with the exit code of the one that failed first.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence

from glr_fast.command_exit import FAILED, INTERRUPTED


def main() -> None:
    """Run the command and end the process."""
    sys.exit(launch(sys.argv[1:]))


def launch(arguments: Sequence[str]) -> int:
    """Start the processes and wait for them; with a single one, this does not return.

    Returns:
        The exit code: 0, or that of the process that failed first, 128 more than the signal for
        one that was killed.
    """
    # Seconds to import, and a command line that asks for help wants none of ours.
    import torch
    from accelerate.commands.launch import (
        _validate_launch_command,
        launch_command_parser,
        multi_gpu_launcher,
        prepare_simple_launcher_cmd_env,
    )
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    parser = launch_command_parser()
    gpus = torch.cuda.device_count()
    options = parser.parse_args(with_defaults(arguments, parser.parse_args(arguments), gpus))
    options, *_ = _validate_launch_command(options)
    if not options.multi_gpu:
        command, environment = prepare_simple_launcher_cmd_env(options)
        sys.stdout.flush()
        os.execvpe(command[0], command, environment)
    if not gpus:
        os.environ["ACCELERATE_USE_CPU"] = "true"
    logging.disable(logging.ERROR)  # the processes have said what is wrong
    # torchrun hands SIGTERM on to its processes, but dies of SIGUSR1.
    signal.signal(signal.SIGUSR1, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        multi_gpu_launcher(options)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            print(
                f"error: the process of rank {rank} was killed ({name}; out of memory?); continue "
                "with the same command and --resume",
                file=sys.stderr,
            )
            return 128 - failure.exitcode
        return failure.exitcode or FAILED
    except SignalException as error:
        return INTERRUPTED if error.sigval == signal.SIGINT else 128 + error.sigval
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def with_defaults(arguments: Sequence[str], given: object, gpus: int) -> list[str]:
    """The command line with what ``accelerate launch`` would choose by itself, and warn of.

    Args:
        arguments: as typed.
        given: the same, parsed.
        gpus: of this machine.
    """
    if getattr(given, "config_file", None) is not None:
        return list(arguments)
    processes = getattr(given, "num_processes", None) or max(1, gpus)
    choices = {
        "num_processes": processes,
        "num_machines": 1,
        "mixed_precision": "no",
        "dynamo_backend": "no",
        "num_cpu_threads_per_process": os.environ.get("OMP_NUM_THREADS", 1),
    }
    flags = [
        part
        for name, value in choices.items()
        if getattr(given, name, None) is None
        for part in (f"--{name}", str(value))
    ]
    if processes > 1 and not getattr(given, "multi_gpu", False):
        flags.append("--multi_gpu")
        if getattr(given, "main_process_port", None) is None:
            flags += ["--main_process_port", "0"]
    return [*flags, *arguments]


if __name__ == "__main__":
    main()
