"""Which instances are alive, what they offer, and who serves whom; it never calls an agent."""
