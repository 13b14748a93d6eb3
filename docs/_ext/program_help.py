"""A directive that shows what `moss-voice-server COMMAND --help` prints, so that the page is always current."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout
from typing import TYPE_CHECKING
from unittest import mock

from docutils import nodes
from docutils.parsers.rst import Directive

from moss_voice_server._cli import main

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class ProgramHelp(Directive):
    """`program-help COMMAND`; without a command, the program's own help."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Run the program and show its output."""
        out = io.StringIO()
        with mock.patch.dict(os.environ, COLUMNS="80", NO_COLOR="1"), redirect_stdout(out):
            try:
                status: object = main([*self.arguments, "--help"])
            except SystemExit as ended:
                status = ended.code
        if status:
            raise self.error(f"{' '.join(self.arguments)} --help ended with {status}")
        text = out.getvalue().rstrip()
        return [nodes.literal_block(text, text, language="text")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("program-help", ProgramHelp)
    return {"parallel_read_safe": True}
