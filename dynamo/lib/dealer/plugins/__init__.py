"""What proposes copies.  A configuration names them `file:Class`."""
