"""Links, addresses, routes, rules and sysctls of this machine, over rtnetlink and /proc."""
