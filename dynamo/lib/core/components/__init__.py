"""Parts of a server that exist in several kinds: stores and what servers share."""
