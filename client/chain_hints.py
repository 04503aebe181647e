"""What to do about the errors of the chain that people meet most."""

from __future__ import annotations

from tfchain import DispatchError

HINTS = {
    "TwinNotExists": "make one first: `zos chain twin create`",
    "TwinWithPubkeyExists": "this account has a twin already: `zos chain twin show`",
    "UserDidNotSignTermsAndConditions": "accept the terms: `zos chain twin create` does it too",
    "InvalidRelayAddress": "relays are host names joined by _, the first of two letters or more",
    "FarmExists": "another farm has this name: choose another",
    "InvalidFarmName": "letters, digits, - and _ are allowed",
    "FarmNotExists": "look at the number: `zos chain farm show NUMBER`",
    "CannotUpdateFarmWrongTwin": "only the farmer may do that: give his key with --key",
    "UnauthorizedToChangePowerTarget": "only the farmer may do that: give his key with --key",
    "NodeUpdateNotAuthorized": "only the farmer may do that: give his key with --key",
    "NodeHasActiveContracts": "something runs on the node still: cancel its contracts first",
    "IpExists": "the farm has this address already",
    "IpNotExists": "the farm has no such address, or a contract holds it: `zos chain farm show`",
    "InvalidPublicIP": "write the address as 185.206.122.33/24, public and not its gateway",
    "ContractNotExists": "it may be over already: `zos ls`",
    "TwinNotAuthorizedToCancelContract": "only its owner may cancel it",
    "NodeNotAvailableToDeploy": "the node is rented, or its farm rents whole nodes only",
    "FarmHasNotEnoughPublicIPs": "the farm has not so many addresses",
    "FarmHasNotEnoughPublicIPsFree": "others hold the farm's addresses: try a node of another farm",
    "InsufficientBalance": "the account has too little: `zos chain balance`",
    "Expendability": "the account would fall below what keeps it alive: send less",
}


def hint(error: DispatchError) -> str:
    """A sentence for the reader, or nothing."""
    return HINTS.get(error.name, "")
