"""What pods ask for, and whether nodes and quotas have it."""
