"""What a volume says of itself: namespace, id and type of its service.

These stand in extended attributes of its folder, `user.server.*`, as OpenIO SDS sets them.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from oio.common.exceptions import OioException

ATTRIBUTES: Final = {"ns": "user.server.ns", "id": "user.server.id", "type": "user.server.type"}


def read_volume(path: str | Path) -> dict[str, str]:
    """`ns`, `id` and `type` as far as they are set. FileNotFoundError without the folder."""
    found = {}
    for name, attribute in ATTRIBUTES.items():
        try:
            found[name] = os.getxattr(path, attribute).decode()
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                raise
    return found


def check_volume(path: str | Path, service_type: str) -> tuple[str, str]:
    """Namespace and service id of a volume; OioException when it is none of this type."""
    try:
        found = read_volume(path)
    except OSError as error:
        raise OioException(f"Invalid volume path [{path}]: {error.strerror}") from error
    for name in ("type", "ns", "id"):
        if name not in found:
            raise OioException(f"Invalid volume path [{path}]: missing server.{name} xattr")
    if found["type"] != service_type:
        raise OioException(
            f"Invalid volume path [{path}]: service is a {found['type']}, not a {service_type}"
        )
    return found["ns"], found["id"]


def claim_volume(path: str | Path, namespace: str, service_id: str, service_type: str) -> None:
    """Mark a volume as this service's; ValueError when it is another's.

    Nothing is marked on a file system without extended attributes.
    """
    wanted = {"ns": namespace, "id": service_id, "type": service_type}
    found = read_volume(path)
    for name, value in found.items():
        if value != wanted[name]:
            raise ValueError(
                f"volume {path} belongs to {found}, not to {wanted}: give the service a folder of its own"
            )
    for name in wanted.keys() - found.keys():
        try:
            os.setxattr(path, ATTRIBUTES[name], wanted[name].encode())
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
