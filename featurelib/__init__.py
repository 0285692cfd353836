"""Find a feature point on every mesh: geometry, pictures, tables and networks, without a cluster (ARCHITECTURE.md)."""
