"""Where the trials are kept: an SQLite file or any database, and which study of it is ours."""

from __future__ import annotations

import fcntl
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy.exc
from sqlalchemy.engine import URL, make_url

from glr_fast.errors import ConfigError
from glr_fast.whole_files import write_atomically

STUDY = "study.json"
DATABASE = "study.db"
IDENTITY = "glr-fast"
"""User attribute of a study: what all of its workers must agree on."""
PATIENCE = 60
"""Seconds to wait for an SQLite file that another worker writes to."""
CONNECT = 10
"""Seconds to wait for a database server."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone among the workers of a study; the kernel frees the lock of one that dies."""
    with open(folder / ".lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def database_url(folder: Path, text: str | None) -> URL:
    """The database that ``--storage`` names; None means the SQLite file in the study folder.

    Raises:
        ConfigError: no URL of a database that several workers can use.
    """
    text = text or f"sqlite:///{folder.absolute() / DATABASE}"
    try:
        url = make_url(text)
    except sqlalchemy.exc.ArgumentError:
        raise ConfigError(
            "--storage: not the URL of a database; it looks like sqlite:///FILE or "
            "postgresql+psycopg://USER:PASSWORD@HOST/NAME"
        ) from None
    if url.drivername.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise ConfigError("--storage: a study in memory could not be resumed; name a file")
    return url


def open_study(
    folder: Path, url: URL, name: str | None, identity: Mapping[str, Any]
) -> optuna.Study:
    """Create or join the study of a folder; call it while :func:`locked`.

    Args:
        folder: the study folder; it exists.
        url: of the database.
        name: of the study in the database; None takes the folder's.
        identity: what the study searches, by option; joining one that searches other things fails.

    Raises:
        ConfigError: the database cannot be had, the study is of another folder, or it searches
            something else.
    """
    name = name or folder.absolute().name
    token = _token(folder)
    with database_errors(url):
        study = optuna.create_study(
            storage=_storage(url), study_name=name, direction="maximize", load_if_exists=True
        )
        known = study.user_attrs.get(IDENTITY)
        trials = len(study.get_trials(deepcopy=False))
        if known is None and not trials:  # new, or its maker died before the next line
            known = {"token": token, "folder": str(folder.absolute()), **identity}
            study.set_user_attr(IDENTITY, known)
    _check_same(study, known, token, folder, identity)
    begun = len(list((folder / "trials").glob("[0-9]*")))
    if begun > trials:
        raise ConfigError(
            f"--out {folder}: holds {begun} trials, the database {trials}; give the --storage and "
            "--name that the study was started with, or another --out"
        )
    return study


@contextmanager
def database_errors(url: URL) -> Iterator[None]:
    """Say in one line that a database cannot be had; passwords are left out."""
    shown = url.render_as_string(hide_password=True)
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        original = getattr(cause, "orig", None) or cause
        reason = " ".join(str(original).split()) or type(original).__name__
        if url.password:
            reason = reason.replace(str(url.password), "***")
        raise ConfigError(f"--storage {shown}: cannot be used ({reason[:200]})") from None


def _storage(url: URL) -> optuna.storages.RDBStorage:
    shown = url.render_as_string(hide_password=True)
    try:
        return optuna.storages.RDBStorage(
            url.render_as_string(hide_password=False), engine_kwargs=_engine(url)
        )
    except ImportError as error:
        raise ConfigError(
            f"--storage {shown}: its driver is not installed ({error.name or error}); for "
            "PostgreSQL: pip install 'glr-fast[postgres]' (in a checkout: pip install -e "
            "'.[postgres]')"
        ) from None
    except RuntimeError as error:  # tables of another version of Optuna
        raise ConfigError(f"--storage {shown}: {' '.join(str(error).split())}") from None


def _engine(url: URL) -> dict[str, Any]:
    if url.drivername.startswith("sqlite"):
        return {"connect_args": {"timeout": PATIENCE}}
    options: dict[str, Any] = {"pool_pre_ping": True}  # trials outlast what a server waits for
    if url.drivername.startswith("postgresql"):
        options["connect_args"] = {"connect_timeout": CONNECT}
    return options


def _token(folder: Path) -> str:
    """What tells this study folder from every other; made on first use.

    Raises:
        ConfigError: the folder holds something else.
    """
    file = folder / STUDY
    if not file.is_file():
        others = sorted(path.name for path in folder.iterdir() if path.name != ".lock")
        if others:
            raise ConfigError(f"--out {folder}: not empty and no study; give another folder")
        write_atomically(file, json.dumps({"token": secrets.token_hex(16)}) + "\n")
    try:
        return str(json.loads(file.read_text())["token"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file}: damaged ({error})") from None


def _check_same(
    study: optuna.Study,
    known: Mapping[str, Any] | None,
    token: str,
    folder: Path,
    identity: Mapping[str, Any],
) -> None:
    name = study.study_name
    if known is None:
        raise ConfigError(f"--name {name}: the database has a study of that name made elsewhere")
    if known.get("token") != token:
        raise ConfigError(
            f"--name {name}: the database has that study, and its folder is {known.get('folder')}; "
            "give that --out to join it, or another --name"
        )
    changed = [
        f"{key} was {known.get(key)} and is {value}"
        for key, value in identity.items()
        if known.get(key) != value
    ]
    if changed:
        raise ConfigError(
            f"--out {folder}: the study was started with different options: {'; '.join(changed)}; "
            "give the old values, or start another study with another --out"
        )
