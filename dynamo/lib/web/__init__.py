"""Pages and data over HTTP."""
