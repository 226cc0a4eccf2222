"""State over the Redis view, with redis-py: a partition is a hash, {session@epoch}:partition."""

import redis

from state import Fenced


class RedisState:
    def __init__(self, host, port, node, token):
        # Where tokens are configured, the token says which node this is; else the name of the connection does.
        self.redis = redis.Redis(host, port, password=token, client_name=node)

    def all(self, session, partition):
        found = self.redis.hgetall(f"{{{session}}}:{partition}")
        return {name.decode(): value for name, value in found.items()}

    def add(self, session, epoch, partition, name, by):
        return self.write("HINCRBY", session, epoch, partition, name, by)

    def set(self, session, epoch, partition, name, value):
        self.write("HSET", session, epoch, partition, name, value)

    def remove(self, session, epoch, partition, name):
        self.write("HDEL", session, epoch, partition, name)

    def write(self, command, session, epoch, partition, *words):
        reign = session if epoch is None else f"{session}@{epoch}"
        try:
            return self.redis.execute_command(command, f"{{{reign}}}:{partition}", *words)
        except redis.ResponseError as error:
            if str(error).startswith("FENCED"):
                raise Fenced(str(error)) from error
            raise
