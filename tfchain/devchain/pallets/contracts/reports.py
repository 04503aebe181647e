"""What nodes report about the contracts that they serve."""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.dispatch import Pays
from tfchain.devchain.pallets.contracts import pricing
from tfchain.devchain.pallets.contracts.store import (
    BILLING_INFORMATION,
    CONTRACTS,
    PALLET,
    RESOURCES,
    caller_twin,
    error,
    farm,
    node,
)
from tfchain.devchain.pallets.tfgrid.store import NODE_BY_TWIN, PRICING
from tfchain.devchain.records import ContractResources, NodeContract, NruConsumption


def report_contract_resources(ctx: Context, contract_resources: list[ContractResources]) -> Pays:
    """Capacity that contracts use now; unknown contracts are passed over."""
    reporter = _caller_node(ctx)
    for report in contract_resources:
        if _is_served(ctx, report.contract_id, reporter):
            RESOURCES.put(ctx, report.contract_id, report)
            ctx.deposit(PALLET, "UpdatedUsedResources", report)
    return Pays.NO


def add_nru_reports(ctx: Context, reports: list[NruConsumption]) -> Pays:
    """Public traffic since the last report; one older than the last counts nothing."""
    reporter = _caller_node(ctx)
    home = farm(ctx, node(ctx, reporter).farm_id)
    prices = PRICING.get(ctx, home.pricing_policy_id)
    if prices is None:
        raise error("PricingPolicyNotExists")
    for report in reports:
        if not _is_served(ctx, report.contract_id, reporter):
            continue
        information = BILLING_INFORMATION.get(ctx, report.contract_id)
        if report.timestamp >= information.last_updated:
            cost = pricing.traffic_cost(prices, report.nru, report.window)
            information = replace(
                information,
                last_updated=report.timestamp,
                amount_unbilled=information.amount_unbilled + cost,
            )
            BILLING_INFORMATION.put(ctx, report.contract_id, information)
        ctx.deposit(PALLET, "NruConsumptionReportReceived", report)
    return Pays.NO


def _caller_node(ctx: Context) -> int:
    twin = caller_twin(ctx)
    if not NODE_BY_TWIN.has(ctx, twin):
        raise error("NodeNotExists")
    return node(ctx, NODE_BY_TWIN.get(ctx, twin)).id


def _is_served(ctx: Context, contract_id: int, reporter: int) -> bool:
    """False for an unknown contract; raises for one of another kind or another node."""
    found = CONTRACTS.get(ctx, contract_id)
    if found is None:
        return False
    if not isinstance(found.contract_type, NodeContract):
        raise error("InvalidContractType")
    if found.contract_type.node_id != reporter:
        raise error("NodeNotAuthorizedToComputeReport")
    return True


CALLS: dict[str, Handler] = {
    "report_contract_resources": report_contract_resources,
    "add_nru_reports": add_nru_reports,
}
