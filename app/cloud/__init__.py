"""OpenStack: connection, available resources, quotas, servers."""
