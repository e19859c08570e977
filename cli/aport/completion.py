"""Completion of commands and options in bash, zsh and fish."""

import re
from argparse import ArgumentParser
from collections.abc import Mapping

SHELLS = ("bash", "zsh", "fish")


OPTION = re.compile(r"--[a-z-]+")


def script(shell: str, commands: Mapping[str, ArgumentParser]) -> str:
    """Return what a shell evaluates to complete the commands and their options."""
    words = {name: OPTION.findall(parser.format_usage()) for name, parser in commands.items()}
    if shell == "fish":
        return "\n".join(
            ["complete -c aport -f"]
            + [f"complete -c aport -n __fish_use_subcommand -a {name}" for name in words]
            + [
                f"complete -c aport -n '__fish_seen_subcommand_from {name}' -l {option[2:]}"
                for name, options in words.items()
                for option in options
            ]
        )
    cases = "\n".join(
        f'    {name}) words="{" ".join(options)}" ;;' for name, options in words.items()
    )
    prelude = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return f"""{prelude}_aport() {{
  local words="{" ".join(words)}"
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  [ "$COMP_CWORD" = 1 ] && words="{" ".join(words)}"
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -F _aport aport"""
