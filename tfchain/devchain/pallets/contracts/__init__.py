"""SmartContractModule (26): contracts, their bills, and what nodes report about them."""
