"""Nova, API v2.1: flavors, key pairs, servers and what is attached to them."""
