"""A PostgreSQL server of Debian's package, started for the tests in a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USER = "postgres"


@contextmanager
def running_postgres() -> Iterator[str]:
    """The URL of a database ``trials`` on a new server; or a skip that says what is missing."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install -e '.[postgres]'")
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    places += [Path(found).parent for found in [shutil.which("initdb")] if found]
    programs = next((place for place in places if (place / "initdb").is_file()), None)
    if programs is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    # Root may not run a server, and may not be in the way of the one who does.
    as_user = ["runuser", "-u", USER, "--"] if os.getuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="glr-postgres-"))
    if as_user:
        shutil.chown(folder, USER)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(programs / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=120)

    data = folder / "data"
    try:
        run("initdb", "-D", str(data), "-U", USER, "--auth=trust", "--no-sync")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = str(folder / "log")
        run("pg_ctl", "-D", str(data), "-w", "-l", log, "-o", options, "start")
        try:
            run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", USER, "trials")
            yield f"postgresql+psycopg://{USER}:secret@127.0.0.1:{port}/trials"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
