"""Why an image did not come."""

from __future__ import annotations

from provisioners.protocol import WorkloadError


class ImageError(WorkloadError):
    """An image cannot be had or used; the message has its address and the cause."""


class ImageUnreachable(ImageError):
    """It did not come this time, but may later: no connection, a time limit, the server's own trouble."""
