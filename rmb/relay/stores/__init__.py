"""Where a relay keeps what it cannot hand over at once."""
