"""featurelib."""
