"""The HTTP edge: middleware, limits, errors, routes, schemas, uploads and static files."""
