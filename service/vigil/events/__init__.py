"""Events on their way out: the durable log, the publisher to Redis Streams, and readers of both.

The only room that imports redis.
"""
