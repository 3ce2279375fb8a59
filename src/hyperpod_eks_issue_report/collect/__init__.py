"""One run: the selection of nodes, the pace of sessions, one node's life, and the fleet."""
