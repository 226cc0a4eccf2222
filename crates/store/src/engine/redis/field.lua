-- One field of the session.
return redis.call('HGET', session, ARGV[2])
