"""Objects as JSON: what boards, pipes and change logs carry.

One JSON object for each, `class` and the names of the constructor's arguments; store numbers are not sent.  What
does not fit the schema is refused, so that nothing that comes from outside is ever executed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamo.dataformat.block import Block
from dynamo.dataformat.blockreplica import BlockReplica
from dynamo.dataformat.dataset import DATA_TYPE, Dataset
from dynamo.dataformat.dataset import STATUS as DATASET_STATUS
from dynamo.dataformat.datasetreplica import DatasetReplica
from dynamo.dataformat.exceptions import ObjectError
from dynamo.dataformat.file import File
from dynamo.dataformat.group import OLEVEL, Group
from dynamo.dataformat.partition import Partition
from dynamo.dataformat.site import STATUS as SITE_STATUS
from dynamo.dataformat.site import STORAGE_TYPE, Site
from dynamo.dataformat.sitepartition import SitePartition

Object = Dataset | Block | File | Group | Site | SitePartition | DatasetReplica | BlockReplica | Partition

MAX_LIST = 1_000_000
"""Most members of a list of files."""

_INT64 = 2**63
_Check = Callable[[Any], Any]


class _Unfit(Exception):
    """A value does not fit; the text says what would."""


def _text(limit: int, empty: bool = True) -> _Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value) > limit or not (value or empty):
            raise _Unfit(f"text of at most {limit} characters")
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise _Unfit("text that Unicode can encode")
        return value

    return check


def _optional(check: _Check) -> _Check:
    return lambda value: None if value is None else check(value)


def _integer(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not -_INT64 <= value < _INT64:
        raise _Unfit("an integer of 64 bits")
    return value


def _flag(value: Any) -> bool:
    if value not in (False, True) or isinstance(value, float):
        raise _Unfit("true or false")
    return bool(value)


def _word(value: Any) -> Any:
    return _integer(value) if isinstance(value, int) and not isinstance(value, bool) else _text(64)(value)


def _version(value: Any, depth: int = 0) -> Any:
    if isinstance(value, list | tuple) and len(value) <= 64 and depth < 4:
        return tuple(_version(item, depth + 1) for item in value)
    if value is None or isinstance(value, bool):
        return value
    return _integer(value) if isinstance(value, int) else _text(256)(value)


def _checksum(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or len(value) > 16:
        raise _Unfit("a list of at most 16 checksums")
    return tuple(_version(item) for item in value)


def _file_ids(value: Any) -> tuple[int | str, ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_LIST:
        raise _Unfit(f"a list of at most {MAX_LIST} files")
    return tuple(_LFN(item) if isinstance(item, str) else _integer(item) for item in value)


def _mapping(value: Any) -> dict[str, list[list[tuple[str, str]]]]:
    try:
        return {
            _text(32)(protocol): [
                [(_text(1024)(pattern), _text(1024)(replacement)) for pattern, replacement in chain]
                for chain in chains
            ]
            for protocol, chains in value.items()
        }
    except (AttributeError, TypeError, ValueError):
        raise _Unfit("lists of chains of pairs by protocol") from None


_DATASET = _text(512, empty=False)
_BLOCK = _text(512 + 1 + 128, empty=False)
_LFN = _text(512, empty=False)
_SITE = _text(32, empty=False)
_GROUP = _optional(_text(64, empty=False))
_PARTITION = _text(16, empty=False)

_SCHEMAS: dict[str, tuple[Callable[..., Object], dict[str, _Check], int]] = {
    "Dataset": (
        Dataset,
        {
            "name": _DATASET,
            "status": _word,
            "data_type": _word,
            "software_version": _version,
            "last_update": _integer,
            "is_open": _flag,
        },
        1,
    ),
    "Block": (
        Block,
        {
            "name": _text(128),
            "dataset": _DATASET,
            "size": _integer,
            "num_files": _integer,
            "is_open": _flag,
            "last_update": _integer,
            "internal_name": _flag,
        },
        2,
    ),
    "File": (File, {"lfn": _LFN, "block": _optional(_BLOCK), "size": _integer, "checksum": _checksum}, 1),
    "Group": (Group, {"name": _GROUP, "olevel": _word}, 1),
    "Site": (
        Site,
        {
            "name": _SITE,
            "host": _text(256),
            "storage_type": _word,
            "backend": _text(128),
            "status": _word,
            "filename_mapping": _mapping,
            "x509proxy": _optional(_text(1024)),
        },
        1,
    ),
    "SitePartition": (SitePartition, {"site": _SITE, "partition": _PARTITION, "quota": _integer}, 2),
    "DatasetReplica": (
        DatasetReplica,
        {"dataset": _DATASET, "site": _SITE, "growing": _flag, "group": _GROUP},
        2,
    ),
    "BlockReplica": (
        BlockReplica,
        {
            "block": _BLOCK,
            "site": _SITE,
            "group": _GROUP,
            "is_custodial": _flag,
            "size": _integer,
            "last_update": _integer,
            "file_ids": _optional(_file_ids),
        },
        2,
    ),
    "Partition": (Partition, {"name": _PARTITION}, 1),
}
"""Class name → constructor, checks in the constructor's order, number of arguments that have no default."""


def encode(obj: Object) -> dict[str, Any]:
    """An object as JSON.  Raises ObjectError for values that the schema does not allow."""
    values: dict[str, Any]
    match obj:
        case Dataset():
            values = {
                "name": obj.name,
                "status": DATASET_STATUS.name(obj.status),
                "data_type": DATA_TYPE.name(obj.data_type),
                "software_version": obj.software_version,
                "last_update": obj.last_update,
                "is_open": obj.is_open,
            }
        case Block():
            values = {
                "name": obj.real_name(),
                "dataset": obj.dataset.name,
                "size": obj.size,
                "num_files": obj.num_files,
                "is_open": obj.is_open,
                "last_update": obj.last_update,
                "internal_name": False,
            }
        case File():
            block = None if obj.block is None else obj.block.full_name()
            values = {"lfn": obj.lfn, "block": block, "size": obj.size, "checksum": obj.checksum}
        case Group():
            values = {"name": obj.name, "olevel": OLEVEL.name(obj.olevel)}
        case Site():
            values = {
                "name": obj.name,
                "host": obj.host,
                "storage_type": STORAGE_TYPE.name(obj.storage_type),
                "backend": obj.backend,
                "status": SITE_STATUS.name(obj.status),
                "filename_mapping": {name: chains.chains for name, chains in obj.filename_mapping.items()},
                "x509proxy": obj.x509proxy,
            }
        case SitePartition():
            values = {"site": obj.site.name, "partition": obj.partition.name, "quota": obj.own_quota}
        case DatasetReplica():
            values = {
                "dataset": obj.dataset.name,
                "site": obj.site.name,
                "growing": obj.growing,
                "group": obj.group.name,
            }
        case BlockReplica():
            values = {
                "block": obj.block.full_name(),
                "site": obj.site.name,
                "group": obj.group.name,
                "is_custodial": obj.is_custodial,
                "size": -1 if obj.file_ids is None else obj.size,
                "last_update": obj.last_update,
                "file_ids": obj.file_ids,
            }
        case Partition():
            values = {"name": obj.name}
        case _:
            raise ObjectError(f"{obj!r} is none of {', '.join(_SCHEMAS)}")
    name = type(obj).__name__
    return {"class": name, **_checked(name, values)}


def decode(value: Any) -> Object:
    """A free object from JSON.  Raises ObjectError for what does not fit the schema."""
    if not isinstance(value, dict) or not isinstance(value.get("class"), str):
        raise ObjectError("An object on the wire is a JSON object with the name of its class")
    name = value["class"]
    if name not in _SCHEMAS:
        raise ObjectError(f"Unknown class {name[:40]!r}; known are {', '.join(_SCHEMAS)}")
    values = _checked(name, {key: item for key, item in value.items() if key != "class"})
    constructor, checks, required = _SCHEMAS[name]
    missing = [key for key in list(checks)[:required] if key not in values]
    if missing:
        raise ObjectError(f"{name} lacks {', '.join(missing)}")
    if name == "BlockReplica":
        values.setdefault("group", None)
    return constructor(**values)


def _checked(name: str, values: dict[str, Any]) -> dict[str, Any]:
    checks = _SCHEMAS[name][1]
    checked = {}
    for key, value in values.items():
        if key not in checks:
            raise ObjectError(f"{name} has no {str(key)[:40]!r}; it has {', '.join(checks)}")
        try:
            checked[key] = checks[key](value)
        except _Unfit as unfit:
            raise ObjectError(f"{name}.{key} is {repr(value)[:80]}, which is not {unfit}") from None
    return checked
