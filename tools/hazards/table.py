"""The tables of docs/hazards.md."""

from __future__ import annotations

import marked
from bedside.hil.requirements import hazards, requirements

PAGE, COMMAND = marked.DOCS / "hazards.md", "make hazards"


def written(shown: dict[str, list[str]]) -> str:
    """Return the page with the tables of now; ``shown`` has each requirement's tests."""
    return marked.replaced(PAGE, COMMAND, _hazards() + _requirements(shown) + _tests(shown))


def _hazards() -> str:
    lines = ["\n## Hazards\n", "| hazard | hazardous situation | harm | controlled by |", "|---|---|---|---|"]
    for name, hazard in hazards().items():
        controls = ", ".join(f"`{each.name}`" for each in requirements().values() if name in each.hazards)
        lines.append(f"| {hazard.title} | {hazard.situation} | {hazard.harm} | {controls} |")
    return "\n".join(lines) + "\n"


def _requirements(shown: dict[str, list[str]]) -> str:
    lines = [
        "\n## Requirements\n",
        "| requirement | what is required | against | by | tests |",
        "|---|---|---|---|---|",
    ]
    for name, requirement in requirements().items():
        against = "; ".join(hazards()[hazard].title.lower() for hazard in requirement.hazards)
        number = len(shown.get(name, ()))
        lines.append(f"| `{name}` | {requirement.text} | {against} | {requirement.where} | {number} |")
    return "\n".join(lines) + "\n"


def _tests(shown: dict[str, list[str]]) -> str:
    text = "\n## What shows them\n"
    for name in requirements():
        by_file: dict[str, list[str]] = {}
        for test in shown.get(name, ()):
            path, _, function = test.partition("::")
            by_file.setdefault(path, []).append(function.removeprefix("test_").replace("_", " "))
        text += f"\n<details><summary><code>{name}</code></summary>\n\n"
        for path, functions in by_file.items():
            text += f"`{path}`\n\n" + "".join(f"- {function}\n" for function in functions) + "\n"
        text += "</details>\n"
    return text
