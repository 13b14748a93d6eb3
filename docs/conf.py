"""Sphinx configuration of the site; `scripts/docs` builds it. Neither the build nor a reader needs a network."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "moss-voice-server"
author = "The moss-voice-server authors"
copyright = f"2026, {author}"  # noqa: A001  # Sphinx's name for it
version = release = version_of(project)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "program_help"]
exclude_patterns = ["_build", "_ext"]
nitpicky = True
nitpick_ignore_regex = [
    # Types in signatures that have no page here: the standard library's, other packages', names without their module.
    (r"py:(class|obj|data|exc)", r"(?!moss_voice_server\.[a-z]).*"),
]
# Pygments has no lexer for JSX and falls back to JavaScript.
suppress_warnings = ["misc.highlighting_failure"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

default_role = "literal"  # single backticks in docstrings, as everywhere else
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
napoleon_use_param = napoleon_use_keyword = False  # an entry may name several arguments
python_maximum_signature_line_length = 80
python_display_short_literal_types = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "moss-voice-server"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["copy.js"]
html_favicon = "_static/icon.svg"
html_copy_source = False
html_show_sourcelink = False
pygments_style = "default"  # enough contrast on the grey of the blocks
pygments_dark_style = "monokai"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f6f4a", "color-brand-content": "#1f6f4a"},
    "dark_css_variables": {"color-brand-primary": "#7bd3a4", "color-brand-content": "#7bd3a4"},
    "footer_icons": [],
}


def _prepare(app: Sphinx, page: str, source: list[str]) -> None:
    """Make a page of the repository a page of the site."""
    # HTML comments contain what only the page's test runs.
    text = re.sub(r"^<!--.*?-->\n?", "", source[0], flags=re.DOTALL | re.MULTILINE)
    # The files at the top of the repository are pages here.
    text = re.sub(r"\]\((?:\.\./)+([A-Z]+)\.md", lambda link: f"](/{_TOP[link[1]]}.md", text)
    source[0] = text


def _level(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Give the sidebar's captions, which have the role of a heading, a heading's level (WAI-ARIA, "heading")."""
    if tree := context.get("furo_navigation_tree"):
        context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


_TOP = {"README": "index", "CHANGELOG": "changelog", "CONTRIBUTING": "contributing", "SECURITY": "security-policy"}


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _prepare)
    app.connect("html-page-context", _level, priority=900)  # after the theme
