"""The first hour on a GPU as one command: everything worth knowing, in order of worth.

    python -m benchmarks.first_gpu_hour --out runs/gpu          # at most 20 minutes
    python -m benchmarks.first_gpu_hour --tiny --out runs/tiny  # on the CPU, to see that it runs

Each step is a process of its own with a time of its own, after which it is ended; what it has
found until then is kept. Figures and the page (first_gpu_hour.md) are written after each, and a
second run with the same ``--out`` does what is left. docs/gpu.md says what to expect and what to
change.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.bench_loader import write_whole
from benchmarks.environment import repository
from benchmarks.samples import table


def finished(out: Path, name: str) -> dict[str, Any] | None:
    """What a step has found, if it has run; else None."""
    file = out / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def command_of(out: Path, name: str, tiny: bool) -> list[str]:
    """What runs a step in a process of its own."""
    own = [sys.executable, "-m", "benchmarks.first_gpu_hour", "--step", name, "--out", str(out)]
    return [*own, *["--tiny"] * tiny]


def run_step(out: Path, name: str, limit: float, command: list[str]) -> None:
    """Run a step in a process of its own, for some seconds at most; keep what it said."""
    started, rows = time.monotonic(), out / f"{name}.rows"
    rows.unlink(missing_ok=True)
    with open(out / f"{name}.log", "w") as log:
        process = subprocess.Popen(
            command,
            cwd=repository(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(limit)
            state = "done" if code == 0 else f"ended with code {code}; see {name}.log"
        except subprocess.TimeoutExpired:
            state = f"cut off after {limit:.0f} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    lines = rows.read_text().splitlines() if rows.exists() else []
    found = {
        "state": state,
        "seconds": round(time.monotonic() - started, 1),
        "rows": [json.loads(line) for line in lines],
    }
    write_whole(out / f"{name}.json", json.dumps(found, indent=1))
    rows.unlink(missing_ok=True)


def page(out: Path, names: list[str]) -> str:
    """All that has been found so far."""
    parts = ["# The first hour on a GPU"]
    for name in names:
        found = finished(out, name)
        if found is None:
            parts.append(f"## {name}\n\nNot yet measured.")
            continue
        rows = table(["what", "figure", ""], [[*map(_cell, row)] for row in found["rows"]])
        parts.append(f"## {name}\n\n{found['state']}, {found['seconds']:g} s\n\n{rows}")
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def do_step(out: Path, name: str, tiny: bool) -> None:
    """The step itself, in its own process."""
    from benchmarks.gpu_steps import STEPS, TINY, Sizes

    with open(out / f"{name}.rows", "a", buffering=1) as file:

        def note(what: str, figure: str, remark: str) -> None:
            file.write(json.dumps([what, figure, remark]) + "\n")
            print(f"{what}: {figure} {remark}", flush=True)

        STEPS[name][0](out, TINY if tiny else Sizes(), note)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/first_gpu_hour"))
    parser.add_argument("--store", type=Path, help="a store; default: one is made")
    parser.add_argument("--steps", nargs="+", help="only these")
    parser.add_argument("--again", nargs="+", default=[], help="do these again")
    parser.add_argument("--minutes", type=float, default=20, help="start no step after this")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, on the CPU")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run what has not run yet, write the page after each step."""
    options = parse(arguments)
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if options.step:
        do_step(out, options.step, options.tiny)
        return
    import torch

    from benchmarks.gpu_steps import STEPS

    if not options.tiny and not torch.cuda.is_available():
        print("no GPU; --tiny runs everything on the CPU, with tiny sizes")
        return
    if options.store:
        os.environ["GLR_STORE"] = str(options.store.resolve())
    started = time.monotonic()
    for name in options.steps or STEPS:
        left = options.minutes * 60 - (time.monotonic() - started)
        if name not in STEPS:
            print(f"--steps {name}: there are {', '.join(STEPS)}", file=sys.stderr)
            raise SystemExit(2)
        if (finished(out, name) and name not in options.again) or left <= 0:
            continue
        run_step(out, name, min(STEPS[name][1], left), command_of(out, name, options.tiny))
        write_whole(out / "first_gpu_hour.md", page(out, list(STEPS)))
        found = finished(out, name)
        assert found is not None
        print(f"{name}: {found['state']}, {len(found['rows'])} figures", flush=True)
    print(out / "first_gpu_hour.md")


if __name__ == "__main__":
    main()
