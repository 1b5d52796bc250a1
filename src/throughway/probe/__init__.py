"""What can be told from outside: a server, and the network that one stands in."""
