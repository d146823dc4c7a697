"""The core: agents, tools, tables and contracts. No socket, clock or environment outside `clients`."""
