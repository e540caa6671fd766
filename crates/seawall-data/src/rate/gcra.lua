-- One question of one process about one key. Debits what was given on trust, whatever is left, and leases what fits.
-- KEYS[1]: where the debt is kept, as "debt at": so many nanoseconds were owed at that microsecond of Redis's clock.
-- ARGV: interval in ns, burst, units given on trust, units wanted, units that are worth waiting for.
-- Returns: units leased, nanoseconds until the ones worth waiting for are free (0 if all wanted were leased), debt.
-- All numbers are whole and below 2^53, so Lua's doubles are exact.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local trusted, wanted, step = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local debt = 0
local kept = redis.call('GET', KEYS[1])
if kept then
  local owed, at = string.match(kept, '^(%d+) (%d+)$')
  if owed then
    -- A clock that was set back earns nothing, and forgives nothing.
    debt = math.max(0, tonumber(owed) - math.max(0, now - tonumber(at)) * 1000)
  end
end

-- A limit's burst is at most 100 days of debt. A little more than that is as good as much more, and stays exact.
debt = math.min(debt + trusted * interval, 9e15)
local room = burst * interval - debt
local leased = math.max(0, math.min(wanted, math.floor(room / interval)))
debt = debt + leased * interval
if trusted > 0 or leased > 0 then
  -- A debt that is paid is as good as none: the key goes by itself.
  redis.call('SET', KEYS[1], string.format('%.0f %.0f', debt, now), 'PX', math.ceil(debt / 1000000) + 1)
end

local wait = 0
if leased < wanted then
  wait = math.max(0, math.min(step, burst) * interval - (burst * interval - debt))
end
return { leased, wait, debt }
