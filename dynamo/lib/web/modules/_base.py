"""What every web module is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamo.core.registry.access import Registry

if TYPE_CHECKING:
    from dynamo.core.objectrepository import ObjectRepository
    from dynamo.dataformat import Configuration
    from dynamo.web.request import Caller


class WebModule:
    """One command of a module.

    `write_enabled` keeps what `run` changes in the inventory; `must_authenticate` refuses callers without a
    certificate; `require_authorizer` puts an authorizer into `authorizer` before `run`, `require_appmanager` what runs
    into `appmanager`.  `registry` answers questions about requests, locks, cycles and file operations, and changes
    them at once.
    """

    def __init__(self, config: Configuration) -> None:
        self.write_enabled = False
        self.must_authenticate = False
        self.require_authorizer = False
        self.require_appmanager = False
        self.content_type = "application/json"
        self.additional_headers: list[tuple[str, str]] = []
        self.message = ""
        self.input_data: Any = None
        self.method = "GET"
        self.authorizer: Any = None
        self.appmanager: Any = None
        self.registry = Registry()

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        """The data of the answer: JSON values, or a text when `content_type` is another.

        `request` holds the parameters: texts, and lists of texts for repeated ones.
        """
        raise NotImplementedError("run")
