"""Plan → one bash file and the bootstrap that fetches it; and the reader of what a node tells."""
