"""The page of a console: a terminal of 80 × 25 in plain JavaScript, without anything from elsewhere.

It knows what shells, editors and installers send to a `linux` terminal: cursor movement, erasing, scrolling.
Colours are left out.
"""

from __future__ import annotations

from pathlib import Path

PAGE = (Path(__file__).parent / "console_page.html").read_text()
