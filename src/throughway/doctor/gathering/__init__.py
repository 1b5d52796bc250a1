"""Evidence from this very machine: a client or a gateway on Linux, asked on the spot."""
