"""What all clients and tools share: errors, configuration, HTTP, daemons, tools."""
