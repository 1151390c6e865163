"""What crosses between vigil's processes: memory passed by descriptor, and messages over sockets."""
