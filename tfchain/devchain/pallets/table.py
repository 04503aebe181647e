"""Every implemented call, by pallet."""

from __future__ import annotations

import inspect

from tfchain.devchain.calls import Handler, Table
from tfchain.devchain.interface import Interface
from tfchain.devchain.pallets import balances, burning, council, kvstore, system, tft_price, utility
from tfchain.devchain.pallets.contracts import billing, creation, providers, reports, services
from tfchain.devchain.pallets.tfgrid import entities, farms, governance, nodes, twins

TABLE: Table = {
    "System": system.CALLS,
    "Utility": utility.CALLS,
    "Balances": balances.CALLS,
    "TfgridModule": {
        **twins.CALLS,
        **entities.CALLS,
        **farms.CALLS,
        **nodes.CALLS,
        **governance.CALLS,
    },
    "SmartContractModule": {
        **creation.CALLS,
        **reports.CALLS,
        **billing.CALLS,
        **providers.CALLS,
        **services.CALLS,
    },
    "TFTPriceModule": tft_price.CALLS,
    "BurningModule": burning.CALLS,
    "TFKVStore": kvstore.CALLS,
    "Council": council.CALLS,
}


def check_against(interface: Interface, table: Table) -> None:
    """Refuse a function whose arguments are not those of the declaration; raises TypeError."""
    for pallet, handlers in table.items():
        for name, handler in handlers.items():
            wanted = [field.name for field in interface.call_case(pallet, name).fields]
            if _arguments(handler) != wanted:
                raise TypeError(f"{pallet}.{name} takes {_arguments(handler)}; declared is {wanted}")


def _arguments(handler: Handler) -> list[str]:
    return list(inspect.signature(handler).parameters)[1:]
