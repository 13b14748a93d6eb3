"""A directive that shows what `moss-voice-server COMMAND --help` prints, so that the page is always current."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from docutils import nodes
from docutils.parsers.rst import Directive

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class ProgramHelp(Directive):
    """`program-help COMMAND`; without a command, the program's own help."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Run the program and show its output."""
        command = [sys.executable, "-m", "moss_voice_server", *self.arguments, "--help"]
        environ = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise self.error(f"{' '.join(self.arguments)} --help ended with {done.returncode}: {done.stderr}")
        text = done.stdout.rstrip()
        return [nodes.literal_block(text, text, language="text")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("program-help", ProgramHelp)
    return {"parallel_read_safe": True}
