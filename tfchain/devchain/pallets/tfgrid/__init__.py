"""TfgridModule (25): terms, twins, farms, nodes, policies."""
