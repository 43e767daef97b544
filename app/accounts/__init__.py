"""Users, projects, membership, roles, tokens, sign-in: until there are accounts, one project and the perimeter."""
