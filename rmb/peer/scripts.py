"""The Lua scripts behind `PeerStore`; what stands in KEYS and ARGV is written above each."""

from __future__ import annotations

from typing import Final

from rmb.redis_link import Script

# KEYS: backlog, deadlines, outbox, taken list.
# ARGV: element of the taken list, limit of the backlog, backlog entry, then (uid, deadline, outbox entry) each.
ACCEPT: Final = Script("""
local parts = (#ARGV - 3) / 3
if redis.call('HLEN', KEYS[1]) + parts > tonumber(ARGV[2]) then return 0 end
for part = 0, parts - 1 do
  local uid = ARGV[4 + 3 * part]
  redis.call('HSET', KEYS[1], uid, ARGV[3])
  redis.call('ZADD', KEYS[2], ARGV[5 + 3 * part], uid)
  redis.call('HSET', KEYS[3], uid, ARGV[6 + 3 * part])
end
redis.call('LREM', KEYS[4], 1, ARGV[1])
return 1
""")

# KEYS: backlog, outbox.  ARGV: uid, outbox entry.
POSTPONE: Final = Script("""
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  redis.call('HDEL', KEYS[2], ARGV[1])
  return 0
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1
""")

# KEYS: backlog, deadlines, outbox, reply list, replay key.
# ARGV: uid, answer, life of the reply list, second after which the replay key may go (0: no replay check).
SETTLE: Final = Script("""
if ARGV[4] ~= '0' then
  if not redis.call('SET', KEYS[5], '1', 'NX', 'EXAT', ARGV[4]) then return 'replayed' end
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 'unknown' end
redis.call('RPUSH', KEYS[4], ARGV[2])
redis.call('EXPIRE', KEYS[4], ARGV[3])
return 'taken'
""")

# KEYS: reply list.  ARGV: answer, life.
PUSH_ANSWER: Final = Script("""
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
""")

# KEYS: backlog, deadlines, outbox.  ARGV: uid.
FORGET: Final = Script("""
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return 1
""")

_FORGET_PENDING: Final = """
local function forget_pending(member)
  if redis.call('ZREM', pending, member) == 0 then return end
  local size = tonumber(redis.call('HGET', sizes, member) or 0)
  redis.call('HDEL', sizes, member)
  local twin = member:match('^%d+')
  if redis.call('HINCRBY', counts, twin, -1) <= 0 then redis.call('HDEL', counts, twin) end
  if redis.call('HINCRBY', counts, twin .. ':bytes', -size) <= 0 then redis.call('HDEL', counts, twin .. ':bytes') end
  if redis.call('HINCRBY', counts, 'bytes', -size) <= 0 then redis.call('HDEL', counts, 'bytes') end
end
"""

# KEYS: list of the command, list of its router, commands of that router, pending, sizes, counts, replay key.
# ARGV: request, command, twin, member of pending, now, lifetime, limits (unread; pending: count, bytes, count of a
#       twin, bytes of a twin), second after which the replay key may go (0: no replay check).
DELIVER: Final = Script(
    """
local pending, sizes, counts = KEYS[4], KEYS[5], KEYS[6]
local now, lifetime = tonumber(ARGV[5]), tonumber(ARGV[6])
"""
    + _FORGET_PENDING
    + """
if ARGV[12] ~= '0' and redis.call('EXISTS', KEYS[7]) == 1 then return 'replayed' end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', pending, '-inf', now, 'LIMIT', 0, 100)) do
  forget_pending(member)
end
forget_pending(ARGV[4])
local function count(field) return tonumber(redis.call('HGET', counts, field) or 0) end
local size = #ARGV[1]
if count(ARGV[3]) >= tonumber(ARGV[10]) or count(ARGV[3] .. ':bytes') + size > tonumber(ARGV[11]) then
  return 'twin full'
end
if redis.call('ZCARD', pending) >= tonumber(ARGV[8]) or count('bytes') + size > tonumber(ARGV[9]) then
  return 'full'
end
local list = KEYS[1]
if redis.call('EXISTS', KEYS[3]) == 1 and redis.call('SISMEMBER', KEYS[3], ARGV[2]) == 0 then list = KEYS[2] end
-- What expired unread at the old end goes, so that a service that is away leaves no heap behind.
for _ = 1, 100 do
  local oldest = redis.call('LINDEX', list, -1)
  if not oldest then break end
  local fine, request = pcall(cjson.decode, oldest)
  local sent = fine and type(request) == 'table' and tonumber(request.now)
  if not sent then break end
  local life = tonumber(request.exp) or 0
  if life == 0 then life = 3600 end
  if sent + life > now then break end
  redis.call('RPOP', list)
end
if redis.call('LLEN', list) >= tonumber(ARGV[7]) then return 'full' end
redis.call('LPUSH', list, ARGV[1])
if redis.call('TTL', list) < lifetime then redis.call('EXPIRE', list, lifetime) end
redis.call('ZADD', pending, now + lifetime, ARGV[4])
redis.call('HSET', sizes, ARGV[4], size)
redis.call('HINCRBY', counts, ARGV[3], 1)
redis.call('HINCRBY', counts, ARGV[3] .. ':bytes', size)
redis.call('HINCRBY', counts, 'bytes', size)
if ARGV[12] ~= '0' then redis.call('SET', KEYS[7], '1', 'EXAT', ARGV[12]) end
return 'taken'
"""
)

# KEYS: pending, sizes, counts.  ARGV: twin, member of pending.
ANSWERED: Final = Script(
    "local pending, sizes, counts = KEYS[1], KEYS[2], KEYS[3]\n"
    + _FORGET_PENDING
    + "forget_pending(ARGV[2])\nreturn 1\n"
)

# KEYS: reply list.  ARGV: reply, life.
KEEP_PROXIED: Final = Script("""
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, 15)
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
""")
