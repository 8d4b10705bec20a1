"""The page of a study in a real browser: every chart drawn, nothing fetched, no error."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import pytest

from glr_fast.tuning.page import render

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TITLES = ["History", "Importance", "Parallel coordinates", "Each option", "Courses", "Trials"]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two options, some of its trials pruned, one failed with a hostile reason."""
    study = optuna.create_study(direction="maximize", study_name="<b>study</b> 城")
    numbers = random.Random(0)
    for number in range(12):
        trial = study.ask()
        rate = trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True)
        loss = trial.suggest_categorical("loss.name", ["ce", "ldam"])
        trial.report(rate, 1)
        if number == 3:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif number == 4:
            trial.set_user_attr("reason", "</script><script>alert(1)</script>")
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, rate + (loss == "ce") / 10 + numbers.random() / 100)
    file = tmp_path_factory.mktemp("study") / "study.html"
    render(study, file, "macro_f1")
    return file


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_opens_from_disk_without_a_network(
    browser: Browser, page_file: Path, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
        offline=True,
    )
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(page_file.as_uri())
    page.wait_for_function(
        "() => [...document.querySelectorAll('.chart')].every(c => c.querySelector('.main-svg'))"
    )
    assert page.locator("h2").all_inner_texts()[1:] == TITLES
    assert page.locator(".chart").count() == len(TITLES) - 1
    assert page.locator("h1").inner_text() == "<b>study</b> 城"
    assert page.locator("tbody tr").count() == 12
    assert page.locator("td", has_text="alert(1)").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []
    assert all(url.startswith(("data:", "file:", "blob:")) for url in asked)
    context.close()
