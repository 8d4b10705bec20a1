"""Tables of README.md that say what the code says: the recipes."""

from __future__ import annotations

from glr_fast.command_help import settings_of
from glr_fast.recipes import RECIPES
from tests.conftest import REPOSITORY


def recipe_rows() -> list[str]:
    """The table of recipes: what each is, and the flags that it sets."""
    rows = ["| recipe | what it is | what it sets |", "|---|---|---|"]
    for name, recipe in RECIPES.items():
        subject = (recipe.__doc__ or "").partition("\n\n")[0]
        flags = [flag for flag in settings_of(recipe()) if not flag.startswith("--out ")]
        rows.append(f"| `{name}` | {' '.join(subject.split())} | `{' '.join(flags)}` |")
    return rows


def test_the_table_of_recipes_is_that_of_the_code() -> None:
    text = (REPOSITORY / "README.md").read_text()
    shown = text.partition("<!-- recipes -->\n")[2].partition("\n<!-- /recipes -->")[0]
    assert shown.splitlines() == recipe_rows(), (
        "README.md: replace the table of recipes by\n" + "\n".join(recipe_rows())
    )
