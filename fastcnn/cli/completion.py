"""`fastcnn completion`: a script that lets a shell complete commands, options and names. Standard library only."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from .parser import build, commands_of
from .recipes import MODELS, RECIPES

if TYPE_CHECKING:
    from .output import Output

# Arguments of commands that take a name or a path: the names.
_NAMES = {("summary", "model"): MODELS, ("profile", "model"): MODELS,
          **{(command, "dataset"): tuple(RECIPES) for command in ("train", "evaluate", "predict", "plot")}}

_CHOICES = """    local found="" command="${{{words}[{first}]}}"
    local current="${{{words}[{current}]}}" before="${{{words}[{current}-1]}}"
    if (( {current} == {first} )); then
        found="{commands} --help --version"
    else
        case "$command/$before" in
{values}
            *) case "$command/$current" in
{options}
{names}
            esac ;;
        esac
    fi"""

_BASH = """# Completion of fastcnn in bash: source <(fastcnn completion bash)
_fastcnn() {{
{choices}
    COMPREPLY=($(compgen -W "$found" -- "$current"))
}}
complete -o default -F _fastcnn fastcnn"""

_ZSH = """#compdef fastcnn
# Completion of fastcnn in zsh, after compinit: source <(fastcnn completion zsh)
_fastcnn() {{
{choices}
    compadd -- ${{=found}} || _files
}}
if [ "$funcstack[1]" = _fastcnn ]; then _fastcnn "$@"; else compdef _fastcnn fastcnn; fi"""


class _Option(NamedTuple):
    """An option, whether a value follows it, and what may be chosen as that; nothing where that is free."""

    name: str
    takes_value: bool
    choices: tuple[str, ...]
    text: str


def completion(arguments: Namespace, output: Output) -> int:
    """Print the script for a shell, made from what the commands take."""
    script = {"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell]()
    output.result({"shell": arguments.shell, "script": script}, script)
    return 0


def _bash() -> str:
    return _BASH.format(choices=_choices("COMP_WORDS", "COMP_CWORD", 1))


def _zsh() -> str:
    return _ZSH.format(choices=_choices("words", "CURRENT", 2))


def _choices(words: str, current: str, first: int) -> str:
    """Return the lines that both shells share: they set `found`, and leave it empty where a path is expected."""
    commands = commands_of(build())
    values = [f"{name}/{option.name}) found={_quoted(option.choices)} ;;" for name, command in commands.items()
              for option in _options(name, command) if option.takes_value]
    options = [f"{name}/-*) found={_quoted(option.name for option in _options(name, command))} ;;"
               for name, command in commands.items()]
    names = [f"{name}/*) found={_quoted(_positional(name, command))} ;;" for name, command in commands.items()]
    return _CHOICES.format(words=words, current=current, first=first, commands=" ".join(commands),
                           values=_indented(values, 12), options=_indented(options, 16), names=_indented(names, 16))


def _fish() -> str:
    lines = ["# Completion of fastcnn in fish: fastcnn completion fish > ~/.config/fish/completions/fastcnn.fish",
             "complete -c fastcnn -n __fish_use_subcommand -l version -d 'the version'"]
    for name, command in commands_of(build()).items():
        inside = f"complete -c fastcnn -n '__fish_seen_subcommand_from {name}'"
        lines.append(f"complete -c fastcnn -n __fish_use_subcommand -f -a {name} -d {_fish_text(command.description or '')}")
        if names := _positional(name, command):
            lines.append(f"{inside} -a '{' '.join(names)}'")
        for option in _options(name, command):
            said = f" -r -d {_fish_text(option.text)}" if option.takes_value else f" -d {_fish_text(option.text)}"
            said = f" -x -a '{' '.join(option.choices)}'" if option.choices else said
            lines.append(f"{inside} -l {option.name.removeprefix('--')}{said}")
    return "\n".join(lines)


def _options(name: str, command: argparse.ArgumentParser) -> list[_Option]:
    return [_Option(action.option_strings[-1], action.nargs != 0, _choices_of(name, action), action.help or "")
            for action in command._actions if action.option_strings]


def _positional(name: str, command: argparse.ArgumentParser) -> tuple[str, ...]:
    return tuple(choice for action in command._actions if not action.option_strings for choice in _choices_of(name, action))


def _choices_of(command: str, action: argparse.Action) -> tuple[str, ...]:
    return tuple(getattr(action.type, "names", None) or action.choices or _NAMES.get((command, action.dest), ()))


def _quoted(words: Iterator[str] | tuple[str, ...]) -> str:
    return f'"{" ".join(words)}"'


def _indented(lines: list[str], spaces: int) -> str:
    return "\n".join(" " * spaces + line for line in lines)


def _fish_text(text: str) -> str:
    """Return the first sentence or part of a help in quotes."""
    short = text.partition(";")[0].replace("\\", "\\\\").replace("'", "\\'")
    return f"'{short}'"
