"""Answers that browsers save as a file."""

from __future__ import annotations


class FileDownloadMixin:
    """To be initialised beside `WebModule`."""

    content_type: str
    additional_headers: list[tuple[str, str]]

    def export_content(self, content: str, filename: str, content_type: str = "application/json") -> str:
        """Give content as a file of this name."""
        safe = "".join(char for char in filename if char.isalnum() or char in "._-") or "download"
        self.content_type = content_type
        self.additional_headers.append(("Content-Disposition", f'attachment; filename="{safe}"'))
        return content
