"""`digitspan --completion`: a few lines by which bash and zsh complete commands and options."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping

from digitspan.cells import CELLS
from digitspan.study.config import PRESETS

__all__ = ["completion_script"]

_FIRST = {"train": tuple(CELLS), "study": tuple(PRESETS)}
"""Names that may follow a command; after every command a file may, too."""

_SCRIPT = """\
# Completion for bash and zsh: eval "$(digitspan --completion)" in ~/.bashrc or ~/.zshrc
[ -z "${ZSH_VERSION-}" ] || { autoload -U +X bashcompinit && bashcompinit; }
_digitspan() {
  local word=${COMP_WORDS[COMP_CWORD]} words=
  case $COMP_CWORD:${COMP_WORDS[1]} in
    1:*) words=@COMMANDS@ ;;
@CASES@
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [[ $COMP_CWORD == 1 || $word == -* ]] || COMPREPLY+=($(compgen -f -- "$word"))
}
complete -o filenames -F _digitspan digitspan"""


def completion_script(parsers: Mapping[str, argparse.ArgumentParser]) -> str:
    """The lines for the shell, of the commands' parsers by name."""
    cases = []
    for name, parser in parsers.items():
        options = [word for action in parser._actions for word in action.option_strings]
        words = " ".join([*_FIRST.get(name, ()), *options])
        cases.append(f"    *:{name}) words={shlex.quote(words)} ;;")
    script = _SCRIPT.replace("@COMMANDS@", shlex.quote(" ".join(parsers)))
    return script.replace("@CASES@", "\n".join(cases))
