"""What makes a page of a web module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONTENTS = Path(__file__).parent.parent / "contents"
"""Pages, scripts and style sheets that belong to the system."""


class HTMLMixin:
    """A page: common head and foot, and a body that lies below `html` in the contents.

    To be initialised after `WebModule`.
    """

    contents_path: Path = CONTENTS

    def __init__(self, title: str, body_path: str | None = None) -> None:
        """Raises OSError when the body is missing."""
        self.content_type = "text/html"
        self.title = title
        self.stylesheets: list[str] = ["/css/dynamo.css"]
        self.header_stylesheet = ""
        self.scripts: list[str] = []
        self.header_script = ""
        self.titleblock = f"<h1>{title}</h1>"
        self.body_html = "" if body_path is None else self._read(body_path)

    def _read(self, name: str) -> str:
        return (self.contents_path / "html" / name).read_text()

    def form_html(self, repl: dict[str, Any] | None = None) -> str:
        """The whole page, with `{NAME}` replaced by the values of `repl`."""
        parts = {
            "_TITLE_": self.title,
            "_STYLESHEETS_": "".join(f'<link rel="stylesheet" href="{path}">\n' for path in self.stylesheets),
            "_HEADER_STYLESHEET_": self.header_stylesheet,
            "_SCRIPTS_": "".join(f'<script src="{path}"></script>\n' for path in self.scripts),
            "_HEADER_SCRIPT_": self.header_script,
            "_TITLEBLOCK_": self.titleblock,
        }
        template = self._read("header_common.html") + self.body_html + self._read("footer_common.html")
        return template.format(**{**parts, **(repl or {})})
