"""How a network is trained: configuration, plan, loop, what a run leaves."""
