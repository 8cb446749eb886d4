"""`python -m meshplane_cli.reference`: docs/reference/cli.md from the verbs themselves. A test compares the two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from meshplane_cli.main import USED, VERBS, app
from meshplane_cli.output import CODES

_EVERYWHERE = {"help", "install_completion", "show_completion"}
PAGE = Path("docs/reference/cli.md")


def page() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(app)
    context = group.context_class(group, info_name="meshplane")
    context.meta[USED] = True
    out = [
        "# The command line",
        "",
        "`./dev meshplane …`, or `meshplane …` in the activated environment. Made by `python -m meshplane_cli.reference`.",
        "",
        "| exit code | means |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in CODES.items()),
        "",
        "Answers go to stdout, what is being done and what went wrong to stderr. With `--json` the answer, an error too, is one JSON",
        "document on stdout. Without AWS variables and without `--env`, the embedded AWS of the checkout is used when it is up. Against an",
        "account, the caller's account must be the one that `domain.json` names for the environment; nothing else is called before.",
    ]
    for verb in VERBS:
        out += ["", *_verb(verb, group.get_command(context, verb))]
    return "\n".join(out) + "\n"


def _verb(name: str, command: Any, level: str = "##") -> Iterator[str]:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    words = " ".join(f"{each.name.upper()}" if each.required else f"[{each.name.upper()}]" for each in arguments)
    yield f"{level} meshplane {name} {words}".rstrip()
    yield from (line.strip() for line in (command.help or "").splitlines())
    rows = [(_spelling(param), param.help or "") for param in command.params if param.name not in _EVERYWHERE]
    if rows:
        yield ""
        yield "| | |"
        yield "|---|---|"
        yield from (f"| {spelling} | {meaning} |" for spelling, meaning in rows)
    for sub in getattr(command, "commands", {}).values():
        yield ""
        yield from _verb(f"{name} {sub.name}", sub, "###")


def _spelling(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{param.name.upper()}`"
    return ", ".join(f"`{word}`" for word in (*param.opts, *param.secondary_opts))


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
