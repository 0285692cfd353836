"""The HTTP server of a run, on Ray Serve. Importing does nothing; `app.build_app` binds the deployments."""
