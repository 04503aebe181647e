"""What the policy of deletion decided, and locks against it."""

from dynamo.web.modules.detox._cycles import COMMANDS, TEST_COMMANDS
from dynamo.web.modules.detox._locks import Help, List, Lock, Set, Unlock
from dynamo.web.modules.detox._pages import DetoxPage, TestPage

_LOCKS: dict[str, type] = {"lock": Lock, "unlock": Unlock, "list": List, "set": Set}

export_data: dict[str, type] = {
    **COMMANDS,
    **{f"test/{name}": command for name, command in TEST_COMMANDS.items()},
    **{f"lock/{name}": command for name, command in _LOCKS.items()},
}
export_web: dict[str, type] = {"": DetoxPage, "test": TestPage, "lock/help": Help}
registry_alias = {"detoxlock": _LOCKS}
