"""``kwsd completion``: completion scripts for shells, generated from the commands' own options."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from kwsd.cli.program import Program, kwsd

HELP = "Prints a shell's completion script for kwsd."
EXAMPLE = "kwsd completion bash > ~/.local/share/bash-completion/completions/kwsd"

_MODELS = ("-m", "--model")


class Option(NamedTuple):
    """One option of a command.

    Attributes:
        names: as typed.
        takes: whether a value follows.
        values: the known ones.
        text: its help.
    """

    names: Sequence[str]
    takes: bool
    values: Sequence[str]
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(SCRIPTS), help="the shell")


def run(args: argparse.Namespace) -> int:
    print(script(args.shell), end="")
    return 0


def script(shell: str, program: Program | None = None) -> str:
    """The completion script of a program, by default kwsd, for a shell."""
    program = program or kwsd()
    return SCRIPTS[shell](program, {command: options(command, program) for command in program.commands})


def options(command: str, program: Program | None = None) -> list[Option]:
    """The options of a command, in the order of its help."""
    from kwsd.model.catalogue import bundled

    found = []
    for action in (program or kwsd()).parser_of(command)[1]._actions:
        values = tuple(bundled()) if set(_MODELS) & set(action.option_strings) else tuple(action.choices or ())
        text = " ".join((action.help or "").split()).replace("%%", "%").partition(" (default")[0]
        if action.option_strings and action.help != argparse.SUPPRESS:
            found.append(Option(tuple(action.option_strings), action.nargs != 0, tuple(map(str, values)), text))
    return found


Commands = Mapping[str, Sequence[Option]]


def _bash(program: Program, commands: Commands) -> str:
    def named(command: str, option: Option) -> str:
        return "|".join(f"{command},{name}" for name in option.names)

    pairs = [(command, option) for command, each in commands.items() for option in each if option.takes]
    known = "\n".join(
        f'        {named(*pair)}) COMPREPLY=($(compgen -f -W "{" ".join(pair[1].values)}" -- "$cur")); return ;;'
        for pair in pairs
        if pair[1].values
    )
    takes = f"        {'|'.join(named(*pair) for pair in pairs)}) return ;;"
    names = "\n".join(
        f'        {command}) options="{" ".join(name for option in each for name in option.names)}" ;;'
        for command, each in commands.items()
    )
    others, function = " ".join(program.others), f"_{program.identifier}"
    return f"""# bash completion of {program.name}; `{program.name} completion bash` writes it
{function}() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} command={program.default} options
    COMPREPLY=()
    if ((COMP_CWORD > 1)) && [[ " {others} " == *" ${{COMP_WORDS[1]}} "* ]]; then command=${{COMP_WORDS[1]}}; fi
    case $command,$prev in
{known}
{takes}
    esac
    case $command in
{names}
    esac
    if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W "{" ".join(program.commands)}" -- "$cur")); fi
}}
complete -o default -F {function} {program.name}
"""


def _zsh(program: Program, commands: Commands) -> str:
    def spec(option: Option) -> str:
        text = option.text.translate(str.maketrans("[]':", "()’ "))
        value = f":value:({' '.join(option.values)})" if option.values else ":value:_files"
        return " ".join(f"'{name}[{text}]{value if option.takes else ''}'" for name in option.names)

    cases = "\n".join(
        f"    {command}) _arguments {' '.join(map(spec, each))} '*:file:_files' ;;"
        for command, each in commands.items()
    )
    texts = "\n".join(
        f"    '{command}:{program.parser_of(command)[0].HELP.replace(chr(39), chr(8217)).replace(':', ',')}'"
        for command in commands
    )
    known = f"{program.identifier}_commands"
    return f"""#compdef {program.name}
# zsh completion of {program.name}; `{program.name} completion zsh` writes it
local -a {known}=(
{texts}
)
local command={program.default}
(( CURRENT > 2 )) && (( ${{{known}[(I)$words[2]:*]}} )) && command=$words[2] && shift words && (( CURRENT-- ))
if (( CURRENT == 2 )) && [[ $command == "{program.default}" && $PREFIX != -* ]]; then
    _describe command {known}; return
fi
case $command in
{cases}
esac
"""


def _fish(program: Program, commands: Commands) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    others, begin = " ".join(program.others), f"complete -c {program.name} -n"
    lines = [f"# fish completion of {program.name}; `{program.name} completion fish` writes it"]
    lines += [
        f"{begin} __fish_use_subcommand -a {command} -d {quoted(program.parser_of(command)[0].HELP)}"
        for command in commands
    ]
    for command, each in commands.items():
        seen = (
            f"not __fish_seen_subcommand_from {others}"
            if command == program.default
            else f"__fish_seen_subcommand_from {command}"
        )
        for option in each:
            names = " ".join(f"-{'s' if len(name) == 2 else 'l'} {name.lstrip('-')}" for name in option.names)
            value = f" -r -a {quoted(' '.join(option.values))}" if option.values else " -r" if option.takes else ""
            lines.append(f"{begin} {quoted(seen)} {names}{value} -d {quoted(option.text)}")
    return "\n".join(lines) + "\n"


SCRIPTS: Mapping[str, Callable[[Program, Commands], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
