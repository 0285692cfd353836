"""Ray Serve: the two stages over HTTP. Nothing happens on import; `app.build_app` makes the graph."""
