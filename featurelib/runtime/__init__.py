"""What any program needs: storage, completion markers, sandboxed processes, threads, console."""
