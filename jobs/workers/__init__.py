"""What runs on the cluster: tasks, actors and streams that the commands start."""
